//! Decides what is listed instead of each layer of a model.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use hashbrown::{HashMap, HashSet};

use super::super::element_count;
use super::super::view::{Block, Part};
use super::names::{ENDINGS, MAY_BE_INTERLEAVED, OUTPUT, bias_of, is_module, projection};

/// The matrices of experts that may be packed.
const OF_EXPERTS: [&str; 4] = ["down_proj", "gate_proj", "gate_up_proj", "up_proj"];

/// The largest number of experts in a layer.
const MOST_EXPERTS: usize = 4096;

/// The largest height of a convolution's kernel: patches are the largest kernels.
const LARGEST_KERNEL: usize = 32;

/// A layer's name and its shape.
type Named = (String, Vec<usize>);

/// The parts listed instead of each layer; empty for a layer listed unchanged. Fused projections may list their
/// rows by groups of heads.
pub(super) fn plan(layers: &[Named], interleaved_groups: Option<usize>) -> Vec<Vec<Part>> {
    let model = Model::new(layers, interleaved_groups);
    let mut plan: Vec<Vec<Part>> = layers.iter().map(|layer| model.parts(layer)).collect();
    // Each name may occur only once.
    let mut counts: HashMap<String, usize> = HashMap::new();
    for ((name, _), parts) in layers.iter().zip(&plan) {
        let names = parts.iter().map(|part| part.name.clone());
        let own = parts.is_empty().then(|| name.clone());
        names
            .chain(own)
            .for_each(|name| *counts.entry(name).or_default() += 1);
    }
    let own: HashSet<&str> = layers.iter().map(|(name, _)| &**name).collect();
    for ((name, _), parts) in layers.iter().zip(&mut plan) {
        let is_free = |part: &Part| {
            counts[&part.name] == 1 && (part.name == *name || !own.contains(&*part.name))
        };
        if !parts.iter().all(is_free) {
            parts.clear();
        }
    }
    plan
}

/// The layers of a model by name.
struct Model<'a> {
    shapes: HashMap<&'a str, &'a [usize]>,
    /// Whether square matrices have a row for each input.
    is_input_major: bool,
    interleaved_groups: Option<usize>,
    /// Which dimension of kernels is their height, if outputs and inputs don't come first.
    height: Option<usize>,
}

impl<'a> Model<'a> {
    fn new(layers: &'a [Named], interleaved_groups: Option<usize>) -> Self {
        let mut model = Self {
            shapes: (layers.iter())
                .map(|(name, shape)| (&**name, &**shape))
                .collect(),
            is_input_major: false,
            interleaved_groups,
            height: common_height(layers),
        };
        let of_kind = |kind| {
            let layers = layers.iter();
            let found = layers.filter(|(name, shape)| model.outputs(name, shape) == Some(kind));
            found.count()
        };
        model.is_input_major = of_kind(Outputs::Columns) > of_kind(Outputs::Rows);
        model
    }

    fn shape(&self, name: &str) -> Option<&'a [usize]> {
        self.shapes.get(name).copied()
    }

    /// The parts listed instead of a layer; empty if it is listed unchanged.
    fn parts(&self, layer: &Named) -> Vec<Part> {
        if element_count(&layer.1).is_none_or(|count| count == 0) {
            return Vec::new();
        }
        if let Some(parts) = self.experts(layer) {
            return parts;
        }
        let (name, shape) = layer;
        let is_transposed = self.is_transposed(name, shape);
        if let Some(parts) = self.projections(layer, is_transposed) {
            return parts;
        }
        let [rows, columns] = shape[..] else {
            return self.kernel(layer).into_iter().collect();
        };
        if !is_transposed {
            return Vec::new();
        }
        let part = Part {
            name: name.clone(),
            shape: [columns, rows].into(),
            block: Block::whole(shape),
            is_transposed,
            places: 1,
            is_cut: false,
        };
        [part].into()
    }

    /// The kernel of a convolution with outputs and inputs first.
    fn kernel(&self, (name, shape): &Named) -> Option<Part> {
        let (at, &[a, _, c, d]) = (self.height?, &shape[..]) else {
            return None;
        };
        if height(shape).is_some_and(|own| own != at) {
            return None;
        }
        let is_transposed = at == 0;
        let [outputs, inputs] = if is_transposed { [d, c] } else { [a, d] };
        let places = shape[at] * shape[at + 1];
        let matrix = if is_transposed {
            [places * inputs, outputs]
        } else {
            [outputs, places * inputs]
        };
        Some(Part {
            name: name.clone(),
            shape: [outputs, inputs, shape[at], shape[at + 1]].into(),
            block: Block::whole(&matrix),
            is_transposed,
            places,
            is_cut: false,
        })
    }

    /// Whether a matrix has one row per input rather than one per output.
    fn is_transposed(&self, name: &str, shape: &[usize]) -> bool {
        match self.outputs(name, shape) {
            Some(Outputs::Columns) => true,
            Some(Outputs::Either) => self.is_input_major,
            Some(Outputs::Rows) | None => false,
        }
    }

    /// Which dimension of a matrix counts outputs, judging by its bias.
    fn outputs(&self, name: &str, shape: &[usize]) -> Option<Outputs> {
        let &[rows, columns] = shape else {
            return None;
        };
        let &[outputs] = self.shape(&bias_of(name)?)? else {
            return None;
        };
        match (outputs == rows, outputs == columns) {
            (true, true) => Some(Outputs::Either),
            (true, false) => Some(Outputs::Rows),
            (false, true) => Some(Outputs::Columns),
            (false, false) => None,
        }
    }

    /// The separate projections of a fused one.
    ///
    /// Without a bias, the orientation of a matrix is unknown. If its rows can't be split, its columns may
    /// be.
    fn projections(&self, (name, shape): &Named, is_transposed: bool) -> Option<Vec<Part>> {
        let (before, fused, ending) = projection(name)?;
        let (&rows, columns) = (shape.first()?, shape.get(1).filter(|_| shape.len() == 2));
        let by_rows = || self.cuts(before, fused, rows).filter(|_| !is_transposed);
        let (cuts, are_columns) = match by_rows() {
            Some(cuts) => (cuts, false),
            None if is_transposed || self.has_inputs(before, fused, rows) => {
                (self.cuts(before, fused, *columns?)?, true)
            }
            None => return None,
        };
        let whole = Block::whole(shape);
        let groups = self.groups(fused, &cuts).filter(|_| !are_columns);
        let part = |(part, outputs): (&str, Range<usize>)| {
            let mut own = shape.clone();
            own[usize::from(are_columns)] = outputs.len();
            if is_transposed {
                own.swap(0, 1);
            }
            Part {
                name: format!("{before}{part}{ending}"),
                shape: own,
                block: if are_columns {
                    whole.with_columns(&outputs)
                } else if let Some(groups) = groups {
                    let of_group = outputs.start / groups..outputs.end / groups;
                    whole.with_rows_of_groups(&of_group, groups)
                } else {
                    whole.with_rows(&outputs)
                },
                is_transposed,
                places: 1,
                is_cut: true,
            }
        };
        Some(cuts.into_iter().map(part).collect())
    }

    /// The number of groups of heads by which the rows of a fused projection are listed; `None` if queries,
    /// keys and values follow one another.
    fn groups(&self, fused: &str, cuts: &[(&str, Range<usize>)]) -> Option<usize> {
        let groups = (self.interleaved_groups).filter(|_| MAY_BE_INTERLEAVED.contains(&fused))?;
        let are_whole = |(_, outputs): &(&str, Range<usize>)| outputs.len().is_multiple_of(groups);
        (groups > 1 && cuts.iter().all(are_whole)).then_some(groups)
    }

    /// Where to split the outputs of a fused projection; `None` if unknown.
    fn cuts(&self, before: &str, fused: &str, outputs: usize) -> Option<Vec<(&str, Range<usize>)>> {
        if fused != "gate_up_proj" {
            let queries = self.queries(before, fused, outputs)?;
            let keys = queries + halves(outputs - queries)?;
            let names = ["q_proj", "k_proj", "v_proj"];
            let ranges = [0..queries, queries..keys, keys..outputs];
            return Some(names.into_iter().zip(ranges).collect());
        }
        let half = halves(outputs)?;
        // The down projection has as many inputs as each half has outputs.
        let fits = match self.output(before, fused) {
            Some((_, down)) => down.contains(&half),
            None => true,
        };
        fits.then(|| [("gate_proj", 0..half), ("up_proj", half..outputs)].into())
    }

    /// Whether a fused projection may have this many inputs: they come from where its outputs return to.
    fn has_inputs(&self, before: &str, fused: &str, inputs: usize) -> bool {
        let output = self.output(before, fused);
        output.is_some_and(|(_, shape)| shape.contains(&inputs))
    }

    /// The name and shape of the matrix that projects the outputs of a fused projection.
    fn output(&self, before: &str, fused: &str) -> Option<(String, &'a [usize])> {
        let layers: &[&str] = if fused == "gate_up_proj" {
            &["down_proj"]
        } else {
            &OUTPUT
        };
        let names = layers.iter().flat_map(|layer| {
            let named = |ending| format!("{before}{layer}{ending}");
            ENDINGS.iter().map(named).collect::<Vec<String>>()
        });
        let shapes = names.filter_map(|name| Some((self.shape(&name)?, name)));
        let mut matrices = shapes.filter(|(shape, _)| shape.len() == 2);
        matrices.next().map(|(shape, name)| (name, shape))
    }

    /// How many outputs of a fused projection are queries: as many as its output projection has inputs.
    fn queries(&self, before: &str, fused: &str, outputs: usize) -> Option<usize> {
        let output = self.output(before, fused).filter(|_| fused != "in_proj");
        let Some((name, shape)) = output else {
            return outputs.is_multiple_of(3).then_some(outputs / 3);
        };
        let inputs = usize::from(!self.is_transposed(&name, shape));
        let queries = *shape.get(inputs)?;
        let keys = halves(outputs.checked_sub(queries)?)?;
        // Several query heads may share one key head.
        (keys > 0 && queries.is_multiple_of(keys)).then_some(queries)
    }

    /// The matrices of the individual experts.
    fn experts(&self, (name, shape): &Named) -> Option<Vec<Part>> {
        let stem = name.strip_suffix(".weight").unwrap_or(name);
        let (before, kind) = stem.rsplit_once('.')?;
        let &[experts, rows, columns] = &shape[..] else {
            return None;
        };
        // MLX's libraries use another name.
        let module = (before.strip_suffix("experts")).or_else(|| before.strip_suffix("switch_mlp"));
        let listed = format!("{}experts", module.filter(|module| is_module(module))?);
        if !OF_EXPERTS.contains(&kind) || experts > MOST_EXPERTS {
            return None;
        }
        let is_transposed = self.are_experts_transposed(before);
        let outputs = if is_transposed { columns } else { rows };
        let kinds: Vec<(&str, Range<usize>)> = if kind == "gate_up_proj" {
            let half = halves(outputs)?;
            [("gate_proj", 0..half), ("up_proj", half..outputs)].into()
        } else {
            [(kind, 0..outputs)].into()
        };
        let part = |expert: usize, (kind, outputs): &(&str, Range<usize>)| {
            let mut block = Block::whole(&shape[1..]);
            block.start = expert * rows * columns;
            let (block, inputs) = if is_transposed {
                (block.with_columns(outputs), rows)
            } else {
                (block.with_rows(outputs), columns)
            };
            Part {
                name: format!("{listed}.{expert}.{kind}.weight"),
                shape: [outputs.len(), inputs].into(),
                block,
                is_transposed,
                places: 1,
                is_cut: kinds.len() > 1,
            }
        };
        let of_expert = |expert| kinds.iter().map(move |kind| (expert, kind));
        let parts = (0..experts).flat_map(of_expert);
        Some(parts.map(|(expert, kind)| part(expert, kind)).collect())
    }

    /// Whether packed experts have one row per input: the gate and up projection has twice as many outputs as
    /// the down projection has inputs.
    fn are_experts_transposed(&self, before: &str) -> bool {
        let shape = |kind: &str| {
            let name = format!("{before}.{kind}");
            self.shape(&name)
                .or_else(|| self.shape(&format!("{name}.weight")))
        };
        match (shape("gate_up_proj"), shape("down_proj")) {
            (Some(&[_, inputs, outputs]), Some(&[_, down, up])) => {
                inputs == up && down.checked_mul(2) == Some(outputs)
            }
            _ => false,
        }
    }
}

/// Which dimension of most kernels is their height, if it isn't the third, as in PyTorch.
fn common_height(layers: &[Named]) -> Option<usize> {
    let shapes = layers.iter().map(|(_, shape)| &**shape);
    let heights: Vec<usize> = shapes.filter_map(height).collect();
    let count = |at: &usize| heights.iter().filter(|&found| found == at).count();
    (0..2).find(|at| 2 * count(at) > heights.len())
}

/// Which dimension of a convolution's kernel is its height, as far as its shape shows it: height and width are
/// mostly equal, and less than the numbers of outputs and inputs. Kernels of one place look like masks.
fn height(shape: &[usize]) -> Option<usize> {
    if shape.len() != 4 {
        return None;
    }
    let squares = (0..3).filter(|&at| shape[at] == shape[at + 1]);
    let least = squares.clone().map(|at| shape[at]).min()?;
    let mut found = squares.filter(|&at| shape[at] == least);
    let first = found.next()?;
    ((2..=LARGEST_KERNEL).contains(&least) && found.next().is_none()).then_some(first)
}

/// Which of a matrix's dimensions counts its outputs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outputs {
    Rows,
    Columns,
    Either,
}

fn halves(count: usize) -> Option<usize> {
    count.is_multiple_of(2).then_some(count / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(layers: &[(&str, &[usize])]) -> Vec<(String, Vec<usize>)> {
        let layers: Vec<Named> = (layers.iter())
            .map(|&(name, shape)| (name.into(), shape.into()))
            .collect();
        let plan = plan(&layers, None).into_iter().zip(layers);
        plan.flat_map(|(parts, layer)| {
            if parts.is_empty() {
                return [layer].into();
            }
            let part = |part: Part| (part.name, part.shape);
            parts.into_iter().map(part).collect::<Vec<_>>()
        })
        .collect()
    }

    fn assert_listed(layers: &[(&str, &[usize])], expected: &[(&str, &[usize])]) {
        let expected: Vec<Named> = (expected.iter())
            .map(|&(name, shape)| (name.into(), shape.into()))
            .collect();
        assert_eq!(names(layers), expected);
    }

    #[test]
    fn queries_are_as_many_as_attention_has_outputs() {
        let output: (&str, &[usize]) = ("attn.o_proj.weight", &[32, 24]);
        assert_listed(
            &[
                ("attn.qkv_proj.weight", &[40, 32]),
                ("attn.qkv_proj.bias", &[40]),
                output,
            ],
            &[
                ("attn.q_proj.weight", &[24, 32]),
                ("attn.k_proj.weight", &[8, 32]),
                ("attn.v_proj.weight", &[8, 32]),
                ("attn.q_proj.bias", &[24]),
                ("attn.k_proj.bias", &[8]),
                ("attn.v_proj.bias", &[8]),
                output,
            ],
        );
        // 24 queries and 5 keys can't share heads.
        let odd: &[(&str, &[usize])] = &[("attn.qkv_proj.weight", &[34, 32]), output];
        assert_listed(odd, odd);
    }

    #[test]
    fn matrices_stored_by_inputs_are_transposed_and_square_ones_follow() {
        assert_listed(
            &[
                ("h.0.attn.c_attn.weight", &[8, 24]),
                ("h.0.attn.c_attn.bias", &[24]),
                ("h.0.attn.c_proj.weight", &[8, 8]),
                ("h.0.attn.c_proj.bias", &[8]),
                ("h.0.mlp.c_fc.weight", &[8, 32]),
                ("h.0.mlp.c_fc.bias", &[32]),
                ("wte.weight", &[100, 8]),
            ],
            &[
                ("h.0.attn.q_proj.weight", &[8, 8]),
                ("h.0.attn.k_proj.weight", &[8, 8]),
                ("h.0.attn.v_proj.weight", &[8, 8]),
                ("h.0.attn.q_proj.bias", &[8]),
                ("h.0.attn.k_proj.bias", &[8]),
                ("h.0.attn.v_proj.bias", &[8]),
                ("h.0.attn.c_proj.weight", &[8, 8]),
                ("h.0.attn.c_proj.bias", &[8]),
                ("h.0.mlp.c_fc.weight", &[32, 8]),
                ("h.0.mlp.c_fc.bias", &[32]),
                ("wte.weight", &[100, 8]),
            ],
        );
    }

    #[test]
    fn most_kernels_show_in_which_order_all_are_stored() {
        let listed: [(&str, &[usize]); 5] = [
            ("stem", &[16, 3, 3, 3]),
            ("depth", &[16, 1, 3, 3]),
            ("long", &[8, 16, 1, 7]),
            ("point", &[8, 8, 1, 1]),
            ("positions", &[1, 14, 14, 8]),
        ];
        // Height and width follow at 0 or 1; positions have no other order.
        let stored = |at: usize| {
            listed.map(|(name, shape)| match (name, shape) {
                (_, &[o, i, h, w]) if name != "positions" => {
                    (name, if at == 0 { [h, w, i, o] } else { [o, h, w, i] })
                }
                _ => (name, [1, 14, 14, 8]),
            })
        };
        assert_listed(&listed, &listed);
        let last = stored(0);
        let last: Vec<(&str, &[usize])> = last.iter().map(|(n, s)| (*n, &s[..])).collect();
        // Of one vote against another, neither counts.
        assert_listed(&last, &last);
        let more: [(&str, &[usize]); 1] = [("more", &[5, 5, 16, 16])];
        let turned: [(&str, &[usize]); 1] = [("more", &[16, 16, 5, 5])];
        assert_listed(
            &[&last[..], &more].concat(),
            &[&listed[..], &turned].concat(),
        );
        let inner = stored(1);
        let inner: Vec<(&str, &[usize])> = inner.iter().map(|(n, s)| (*n, &s[..])).collect();
        let turned: [(&str, &[usize]); 1] = [("positions", &[1, 8, 14, 14])];
        assert_listed(&inner, &[&listed[..4], &turned].concat());
        // Masks of attention.
        let masks: [(&str, &[usize]); 1] = [("attn.bias", &[1, 1, 16, 16])];
        assert_listed(&masks, &masks);
    }

    #[test]
    fn without_biases_columns_are_split_if_rows_cannot_be() {
        let others: [(&str, &[usize]); 2] =
            [("o_proj.weight", &[8, 8]), ("down_proj.weight", &[10, 8])];
        assert_listed(
            &[
                ("qkv_proj.weight", &[8, 12]),
                ("gate_up_proj.weight", &[8, 20]),
                others[0],
                others[1],
            ],
            &[
                ("q_proj.weight", &[8, 8]),
                ("k_proj.weight", &[8, 2]),
                ("v_proj.weight", &[8, 2]),
                ("gate_proj.weight", &[8, 10]),
                ("up_proj.weight", &[8, 10]),
                others[0],
                others[1],
            ],
        );
    }

    #[test]
    fn packed_experts_are_listed_one_by_one_however_they_are_stored() {
        for (gate_up, down) in [([2, 6, 4], [2, 4, 3]), ([2, 4, 6], [2, 3, 4])] {
            assert_listed(
                &[
                    ("experts.gate_up_proj", &gate_up),
                    ("experts.down_proj", &down),
                ],
                &[
                    ("experts.0.gate_proj.weight", &[3, 4]),
                    ("experts.0.up_proj.weight", &[3, 4]),
                    ("experts.1.gate_proj.weight", &[3, 4]),
                    ("experts.1.up_proj.weight", &[3, 4]),
                    ("experts.0.down_proj.weight", &[4, 3]),
                    ("experts.1.down_proj.weight", &[4, 3]),
                ],
            );
        }
    }

    #[test]
    fn a_layer_whose_parts_have_the_name_of_another_stays_as_it_is() {
        let layers: &[(&str, &[usize])] = &[
            ("gate_up_proj.weight", &[4, 3]),
            ("up_proj.weight", &[2, 3]),
        ];
        assert_listed(layers, layers);
        let layers: &[(&str, &[usize])] = &[("qkv.weight", &[9, 3]), ("to_qkv.weight", &[9, 3])];
        assert_listed(layers, layers);
    }

    #[test]
    fn the_attention_of_pytorch_is_cut_in_thirds() {
        assert_listed(
            &[
                ("attn.in_proj_weight", &[6, 2]),
                ("attn.in_proj_bias", &[6]),
            ],
            &[
                ("attn.q_proj.weight", &[2, 2]),
                ("attn.k_proj.weight", &[2, 2]),
                ("attn.v_proj.weight", &[2, 2]),
                ("attn.q_proj.bias", &[2]),
                ("attn.k_proj.bias", &[2]),
                ("attn.v_proj.bias", &[2]),
            ],
        );
    }
}
