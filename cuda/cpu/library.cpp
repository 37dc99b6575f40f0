// The CPU kernels' plain C interface: one forward and one backward per storage type.

#include "attention.h"

namespace {

template <class Real, class Store>
int forward_of(const Problem *problem, const void *const *in, void *const *out) {
    return forward<Real, Store>(*problem, static_cast<const Store *>(in[0]), static_cast<const Real *>(in[1]),
                                static_cast<const Real *>(in[2]), static_cast<Store *>(out[0]),
                                static_cast<Store *>(out[1]));
}

template <class Real, class Store>
int backward_of(const Problem *problem, const void *const *in, void *const *out) {
    const Gradients<Real, Store> gradients{
        static_cast<const Store *>(in[3]), static_cast<const Store *>(in[4]), static_cast<const Store *>(in[5]),
        static_cast<Store *>(out[0]),      static_cast<Real *>(out[1]),       static_cast<Real *>(out[2]),
        static_cast<Real *>(out[3])};
    return backward<Real, Store>(*problem, static_cast<const Store *>(in[0]), static_cast<const Real *>(in[1]),
                                 static_cast<const Real *>(in[2]), gradients);
}

}  // namespace

// in: query, memory, offset; out: aggregate, weights. Returns 0, or 1 when out of memory.
extern "C" int sifa_forward_float32(const void *p, const void *const *in, void *const *out) {
    return forward_of<float, float>(static_cast<const Problem *>(p), in, out);
}
extern "C" int sifa_forward_float64(const void *p, const void *const *in, void *const *out) {
    return forward_of<double, double>(static_cast<const Problem *>(p), in, out);
}
extern "C" int sifa_forward_bfloat16(const void *p, const void *const *in, void *const *out) {
    return forward_of<float, BFloat16>(static_cast<const Problem *>(p), in, out);
}
extern "C" int sifa_forward_float16(const void *p, const void *const *in, void *const *out) {
    return forward_of<float, Float16>(static_cast<const Problem *>(p), in, out);
}

// in: query, memory, offset, grad of aggregate, grad of weights or null, weights; out: grads of query, memory and
// offset, null where none is needed, and of logits.
extern "C" int sifa_backward_float32(const void *p, const void *const *in, void *const *out) {
    return backward_of<float, float>(static_cast<const Problem *>(p), in, out);
}
extern "C" int sifa_backward_float64(const void *p, const void *const *in, void *const *out) {
    return backward_of<double, double>(static_cast<const Problem *>(p), in, out);
}
extern "C" int sifa_backward_bfloat16(const void *p, const void *const *in, void *const *out) {
    return backward_of<float, BFloat16>(static_cast<const Problem *>(p), in, out);
}
extern "C" int sifa_backward_float16(const void *p, const void *const *in, void *const *out) {
    return backward_of<float, Float16>(static_cast<const Problem *>(p), in, out);
}
