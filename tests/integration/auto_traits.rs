//! What is public can be sent to other threads and shared between them.

use mother::{
    adapters, arborescence, clustering, condensed, entropy, evidence, growth, heritage, moments,
    pairwise, progress, signature, sketch, weights,
};

/// What no thread is bound to, and nothing can break by unwinding.
trait Free: Send + Sync + Unpin + core::panic::UnwindSafe + core::panic::RefUnwindSafe {}

impl<T: Send + Sync + Unpin + core::panic::UnwindSafe + core::panic::RefUnwindSafe> Free for T {}

/// Compiles only if all of them are.
macro_rules! assert_free {
    ($($item:ty),* $(,)?) => {{
        fn free<T: Free>() {}
        $(free::<$item>();)*
    }};
}

#[test]
fn kernels_are_send_and_sync() {
    assert_free!(
        arborescence::Arborescence,
        arborescence::ArborescenceDistribution,
        arborescence::ArborescenceError,
        arborescence::DenseDigraph,
        arborescence::DualCertificate,
        arborescence::Edge,
        arborescence::Root,
        clustering::ClusteringError,
        clustering::Dendrogram,
        clustering::Linkage,
        clustering::Partition,
        clustering::Step,
        clustering::UnknownLinkage,
        clustering::WidestGap,
        condensed::CondensedError,
        condensed::CondensedMatrix,
        entropy::Histogram,
        entropy::HistogramError,
        growth::MatrixGrowth,
        growth::PooledGrowth,
        growth::Step,
        moments::Moments,
        moments::MomentsAccumulator,
        moments::MomentsError,
        pairwise::PairwiseError,
        pairwise::VectorSet,
        sketch::GroupComparison,
        sketch::MatrixSketch,
        sketch::MatrixSketcher,
        sketch::RowGroups,
        sketch::RowSample,
        sketch::SketchError,
        sketch::SketchKey,
    );
    #[cfg(feature = "svd")]
    {
        use mother::rank;
        assert_free!(
            rank::Difference,
            rank::MatrixView<'static, f32>,
            rank::Method,
            rank::NumericalRank,
            rank::RankError,
            rank::RoundingNoise,
            rank::SingularValueSolver,
            rank::SingularValues,
            rank::Tolerance,
        );
    }
}

#[test]
fn evidence_and_graphs_are_send_and_sync() {
    assert_free!(
        evidence::CopyKind,
        evidence::Coverage,
        evidence::Distance,
        evidence::Evidence,
        evidence::EvidenceError,
        evidence::Geometry,
        evidence::Glob,
        evidence::GroupEvidence,
        evidence::Growth,
        evidence::IncompatibleSignatures,
        evidence::LayerKinds,
        evidence::LayerSelection,
        evidence::MatchRule,
        evidence::Matching<'static>,
        evidence::Measurement,
        evidence::ModelCopy,
        evidence::OnFailure,
        evidence::Merge,
        evidence::PairGrowth,
        evidence::PartialParent,
        evidence::Relation,
        evidence::Score,
        evidence::SignatureComparison,
        evidence::SkippedLayerOf,
        evidence::TransposedModel,
        heritage::ClusterSimilarity,
        heritage::Contradiction,
        heritage::Descent,
        heritage::DescentKind,
        heritage::GraphError,
        heritage::Knowledge,
        heritage::MergeParent,
        heritage::MixedHeritageError,
        heritage::Model,
        heritage::ModelGraph,
        heritage::ModelTree,
        heritage::Recovery,
        heritage::RecoveryError,
        heritage::RunnerUp,
        heritage::Shard,
        heritage::ShardMessage,
        heritage::Stage,
        heritage::StageEstimate,
        heritage::Trees,
        heritage::UnknownStage,
        heritage::metrics::EdgeCounts,
        heritage::metrics::MetricError,
        progress::Cancelled,
        progress::Phase,
        progress::Progress,
        signature::Digest,
        signature::Levels,
        signature::Cause,
        signature::ModelFailure,
        signature::PrecisionProfile,
        signature::Signature,
        signature::SignatureOptions,
        signature::SkippedModel,
        signature::TensorSignature,
    );
    #[cfg(feature = "svd")]
    assert_free!(evidence::RankOverLayers, evidence::UpdateRank);
}

#[test]
fn sources_are_send_and_sync() {
    assert_free!(
        adapters::AdaptedModel<weights::InMemoryModel<'static>, weights::InMemoryModel<'static>>,
        adapters::Adapter<weights::InMemoryModel<'static>>,
        adapters::AdapterConfig,
        adapters::AdapterError,
        adapters::Placement,
        weights::DecodeError,
        weights::Dequantised<weights::InMemoryModel<'static>>,
        weights::DequantiseError<weights::DecodeError>,
        weights::DequantisedLayer<'static, weights::InMemoryLayer<'static>>,
        weights::ElementType,
        weights::InMemoryLayer<'static>,
        weights::InMemoryModel<'static>,
        weights::Joined<weights::InMemoryModel<'static>>,
        weights::JoinedLayer<'static, weights::InMemoryLayer<'static>>,
        weights::LayerView<weights::InMemoryLayer<'static>>,
        weights::ShapeError,
        weights::SkippedLayer,
        weights::Transposed<weights::InMemoryModel<'static>>,
        weights::Unfused<weights::InMemoryModel<'static>>,
        weights::UnknownElementType,
        weights::WeightSlice<'static>,
        weights::WeightValues<'static>,
    );
    #[cfg(feature = "safetensors")]
    {
        use mother::{files, safetensors};
        assert_free!(
            files::FindError,
            files::ModelCard,
            files::ModelFormat,
            files::SkipReason,
            files::Found,
            files::ModelFile,
            files::ModelPath,
            files::SkippedPath,
            safetensors::SafetensorsModel<'static>,
        );
    }
    #[cfg(feature = "proptest")]
    {
        use mother::{invariants, strategies};
        assert_free!(
            invariants::Violation,
            strategies::Family,
            strategies::FamilyOptions,
            strategies::Shape,
            strategies::Step,
            strategies::Ties,
        );
    }
}

#[cfg(all(feature = "gguf", feature = "npz", feature = "pytorch"))]
#[test]
fn models_in_other_formats_are_send_and_sync() {
    use mother::{gguf, npz, pytorch, storage};
    assert_free!(
        gguf::GgufLayer<'static>,
        gguf::GgufModel<'static>,
        npz::NpzLayer<'static>,
        npz::NpzModel<'static>,
        pytorch::PytorchLayer<'static>,
        pytorch::PytorchModel<'static>,
        storage::FileError,
    );
}
