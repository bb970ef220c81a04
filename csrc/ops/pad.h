// Padding and cropping.
#pragma once
#include "ops/registry.h"

namespace pydl {

// `pad` counts positions before and after the last dimension, then the one before it, and so on; negative ones crop. mode:
// constant (any dimensions), reflect, replicate, circular (the spatial dimensions of an image, with or without batch).
Tensor pad(const Tensor& x, IntSpan pad, std::string_view mode = "constant", const std::optional<Scalar>& value = {});

}  // namespace pydl
