"""Which module keeps a name of `pydl` that is imported when first used, so that `import pydl` stays quick."""

from __future__ import annotations

_KEPT = {
    "_complex": """
        complex istft polar stft view_as_complex view_as_real
    """,
    "_draws": """
        binomial poisson
    """,
    "_limits": """
        finfo iinfo
    """,
    "_numeric": """
        frexp gradient histogram histogramdd mvlgamma polygamma
    """,
    "_parts": """
        as_strided_scatter empty_permuted index_reduce narrow_copy unravel_index
    """,
    "_queries": """
        angle are_deterministic_algorithms_enabled conj conj_physical detach_ fill get_default_device get_device
        get_float32_matmul_precision imag is_complex is_conj is_inference is_neg is_same_size is_signed ldexp_ real
        resolve_conj resolve_neg set_default_device set_float32_matmul_precision set_flush_denormal typename
        unsafe_chunk unsafe_split unsafe_split_with_sizes use_deterministic_algorithms
    """,
    "_range": """
        range
    """,
    "_sparse": """
        layout sparse_coo sparse_coo_tensor strided
    """,
    "_typed": """
        BFloat16Tensor BoolTensor ByteTensor CharTensor DoubleTensor FloatTensor HalfTensor IntTensor LongTensor
        ShortTensor set_default_tensor_type
    """,
    "_windows": """
        bartlett_window blackman_window hamming_window hann_window kaiser_window
    """,
    "config": """
        show_config
    """,
    "linalg._aliases": """
        cholesky cholesky_inverse cholesky_solve det geqrf inverse logdet lu lu_solve lu_unpack matrix_exp orgqr ormqr
        pca_lowrank pinverse qr slogdet svd svd_lowrank triangular_solve
    """,
    "nn.functional": """
        adaptive_avg_pool1d adaptive_max_pool1d alpha_dropout avg_pool1d bilinear celu_
        conv1d conv2d conv3d conv_tbc conv_transpose1d conv_transpose2d conv_transpose3d cosine_similarity
        feature_alpha_dropout group_norm max_pool1d max_pool2d max_pool3d native_channel_shuffle pairwise_distance pdist
        rrelu rrelu_ selu_
    """,
    "nn.functional._dropout": """
        alpha_dropout_
    """,
    "serialization": """
        load save
    """,
}

HOMES: dict[str, str] = {name: module for module, names in _KEPT.items() for name in names.split()}
