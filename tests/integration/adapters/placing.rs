//! Which of several models is an adapter's base.

use mother::adapters::Placement;

use super::*;

fn base(name: &str, inputs: usize) -> InMemoryModel<'static> {
    let shape = [2, inputs];
    model(name, &[("m.q.weight", &shape, &vec![0.0; 2 * inputs])])
}

fn place(config: AdapterConfig, models: &[InMemoryModel<'_>]) -> Placement {
    Adapter::read(model("a", &[DOWN, UP]), config)
        .unwrap()
        .place(models)
}

#[test]
fn a_base_is_found_by_its_name() {
    let named = |name: &str| AdapterConfig::new().with_base(name);
    let models = [
        base("acme/base", 3),
        base("zeta/base", 3),
        base("run/other", 3),
    ];
    assert_eq!(place(named("acme/base"), &models), Placement::Found(0));
    assert_eq!(
        place(named("/data/zeta/base/"), &models[1..]),
        Placement::Found(0)
    );
    assert_eq!(place(named("acme/OTHER"), &models), Placement::Found(2));
    assert_eq!(
        place(named("base"), &models),
        Placement::Ambiguous(vec![0, 1])
    );
    assert_eq!(place(named("acme/base-2"), &models), Placement::NotFound);
    let state = [base("acme/base@0123456", 3)];
    assert_eq!(place(named("acme/base"), &state), Placement::Found(0));
}

#[test]
fn the_base_that_fits_is_chosen_among_equal_names() {
    let named = AdapterConfig::new().with_base("hub/base");
    let models = [base("acme/base", 4), base("zeta/base", 3)];
    assert_eq!(place(named.clone(), &models), Placement::Found(1));
    let Placement::Incompatible(0, AdapterError::WrongShape { .. }) = place(named, &models[..1])
    else {
        panic!("it does not fit");
    };
}

#[test]
fn without_a_name_the_only_base_that_fits_is_chosen() {
    let models = [base("x", 4), base("y", 3), base("z", 3)];
    assert_eq!(
        place(AdapterConfig::new(), &models[..2]),
        Placement::Found(1)
    );
    assert_eq!(
        place(AdapterConfig::new(), &models),
        Placement::Ambiguous(vec![1, 2])
    );
    assert_eq!(
        place(AdapterConfig::new(), &models[..1]),
        Placement::NotFound
    );
}
