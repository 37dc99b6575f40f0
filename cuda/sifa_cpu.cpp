// The SIFA operator for CPUs: forward and backward over channels_last maps, behind a plain C interface.
//
// n image, y row, x column, c channel, i tap, g channel group; C channels, K taps, G groups, P = height*width places.
// A map is [P][C] per image, offsets [P][K][2] as (dy, dx), weights [P][G][K]. Storage may be 16 bits wide; sums and
// coordinates are `Real` (float, or double for double storage). All index arithmetic is 64 bits wide.
//
// No two threads ever add to one number, and every sum runs in the order of places and taps, so results do not depend
// on the number of threads.

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace {

struct Problem {
    int64_t images, channels, height, width;
    int64_t kernel, dilation, groups, softmax;
    int64_t threads;
    // Distances between images, in elements, so that slices of a batch need no copy.
    int64_t query_stride, memory_stride, offset_stride;
    double factor;

    int64_t places() const { return height * width; }
    int64_t taps() const { return kernel * kernel; }
};

float bits_to_float(uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

uint32_t float_to_bits(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

struct BFloat16 {
    uint16_t bits;
};

struct Float16 {
    uint16_t bits;
};

inline float load(float value) { return value; }
inline double load(double value) { return value; }
inline float load(BFloat16 value) { return bits_to_float(uint32_t(value.bits) << 16); }

inline float load(Float16 value) {
    // Shift the fields into float's places; the product rebiases the exponent and normalises subnormal numbers.
    const float magnitude = bits_to_float(uint32_t(value.bits & 0x7fff) << 13) * 0x1p112f;
    const uint32_t special = magnitude >= 65536.0f ? 0x7f800000u : 0u;
    return bits_to_float(float_to_bits(magnitude) | special | (uint32_t(value.bits & 0x8000) << 16));
}

inline void store(float *to, float value) { *to = value; }
inline void store(double *to, double value) { *to = value; }

inline void store(BFloat16 *to, float value) {
    const uint32_t bits = float_to_bits(value);
    const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;  // to nearest, ties to even
    to->bits = uint16_t(value != value ? 0x7fc0 : rounded);
}

inline void store(Float16 *to, float value) {
    const uint32_t bits = float_to_bits(value);
    const uint32_t sign = (bits >> 16) & 0x8000, magnitude = bits & 0x7fffffff;
    uint32_t half;
    if (magnitude > 0x7f800000) {
        half = 0x7e00;
    } else if (magnitude >= 0x477ff000) {  // 65520 and above round to infinity
        half = 0x7c00;
    } else if (magnitude < 0x38800000) {  // below 2^-14: adding 1/2 leaves the subnormal's bits, rounded, at the bottom
        half = float_to_bits(bits_to_float(magnitude) + 0.5f) - 0x3f000000;
    } else {
        half = (magnitude - 0x38000000 + 0xfff + ((magnitude >> 13) & 1)) >> 13;
    }
    to->bits = uint16_t(half | sign);
}

// What stands still while a thread works through its places: the grid of taps, and rows for corners outside the map.
template <class Real, class Store>
struct Workspace {
    Real *numbers;      // scratch; its parts are named where they are used
    Store *zeros;       // a row of C zeros: what a corner outside the map reads
    Real *tap_y, *tap_x;

    Workspace(const Problem &problem, int64_t count)
        : numbers(allocate<Real>(count)), zeros(allocate<Store>(problem.channels)), tap_y(allocate<Real>(problem.taps())),
          tap_x(allocate<Real>(problem.taps())) {
        if (!ready()) return;
        std::memset(static_cast<void *>(zeros), 0, size_t(problem.channels) * sizeof(Store));
        for (int64_t i = 0; i < problem.taps(); ++i) {
            tap_y[i] = Real((i / problem.kernel - problem.kernel / 2) * problem.dilation);
            tap_x[i] = Real((i % problem.kernel - problem.kernel / 2) * problem.dilation);
        }
    }
    Workspace(const Workspace &) = delete;
    ~Workspace() { std::free(numbers), std::free(zeros), std::free(tap_y), std::free(tap_x); }

    bool ready() const { return numbers && zeros && tap_y && tap_x; }

    template <class T>
    static T *allocate(int64_t count) {
        return static_cast<T *>(std::malloc(size_t(count) * sizeof(T)));
    }
};

// Where one sampling point lies: the cell to its upper left and how far it is from there.
template <class Real>
struct Point {
    int64_t top, left;
    Real down, right;  // 0..1
    bool inside;       // false: a whole cell or more outside the map, or not a number

    Point(const Problem &problem, Real y, Real x) {
        // Comparisons with NaN are false: NaN is outside, and only numbers within the map become integers.
        inside = y >= -1 && y < Real(problem.height) && x >= -1 && x < Real(problem.width);
        if (!inside) return;
        const Real floor_y = std::floor(y), floor_x = std::floor(x);
        top = int64_t(floor_y), left = int64_t(floor_x);
        down = y - floor_y, right = x - floor_x;
    }

    // Corners in the order (top, left), (top, right), (bottom, left), (bottom, right).
    bool valid(const Problem &problem, int corner) const {
        const int64_t y = top + (corner >> 1), x = left + (corner & 1);
        return y >= 0 && y < problem.height && x >= 0 && x < problem.width;
    }

    template <class T>
    T *row(const Problem &problem, int corner, T *map, T *otherwise) const {
        const int64_t cell = (top + (corner >> 1)) * problem.width + left + (corner & 1);
        return valid(problem, corner) ? map + cell * problem.channels : otherwise;
    }

    Real weight(int corner) const { return (corner >> 1 ? down : 1 - down) * (corner & 1 ? right : 1 - right); }
};

template <class Real>
void softmax(Real *values, int64_t count) {
    Real largest = values[0], sum = 0;
    for (int64_t i = 1; i < count; ++i) largest = values[i] > largest ? values[i] : largest;
    for (int64_t i = 0; i < count; ++i) sum += values[i] = std::exp(values[i] - largest);
    for (int64_t i = 0; i < count; ++i) values[i] /= sum;
}

// to = sum over taps of weights[i] * samples[i * stride ...], for `width` channels; three taps at a time, because
// one at a time would spend more on reading and writing `to` than on the products.
template <class Real>
void weighted_sum(Real *to, const Real *samples, int64_t stride, const Real *weights, int64_t taps, int64_t width) {
    for (int64_t i = 0; i < taps; i += 3) {
        const int64_t second = i + 1 < taps ? i + 1 : i, third = i + 2 < taps ? i + 2 : i;
        const Real w0 = weights[i], w1 = second > i ? weights[second] : 0, w2 = third > i ? weights[third] : 0;
        const Real *s0 = samples + i * stride, *s1 = samples + second * stride, *s2 = samples + third * stride;
        if (i == 0) {
#pragma omp simd
            for (int64_t c = 0; c < width; ++c) to[c] = w0 * s0[c] + w1 * s1[c] + w2 * s2[c];
        } else {
#pragma omp simd
            for (int64_t c = 0; c < width; ++c) to[c] += w0 * s0[c] + w1 * s1[c] + w2 * s2[c];
        }
    }
}

// Forward at one place. Scratch: samples [K][C], weights [G][K], sum [C].
template <class Real, class Store>
struct Forward {
    static int64_t scratch(const Problem &problem) {
        return (problem.taps() + 1) * problem.channels + problem.groups * problem.taps();
    }

    static void at(const Problem &problem, const Workspace<Real, Store> &space, int64_t row, int64_t column,
                   const Store *query, const Store *memory, const Real *offset, Store *aggregate, Store *weights_out) {
        const int64_t channels = problem.channels, taps = problem.taps(), width = channels / problem.groups;
        Real *samples = space.numbers, *sum = samples + taps * channels, *weights = sum + channels;
        const Store *zeros = space.zeros;
        for (int64_t i = 0; i < taps; ++i) {
            const Point<Real> point(problem, (Real(row) + space.tap_y[i]) + offset[2 * i],
                                    (Real(column) + space.tap_x[i]) + offset[2 * i + 1]);
            Real *sample = samples + i * channels;
            if (!point.inside) {
                for (int64_t g = 0; g < problem.groups; ++g) weights[g * taps + i] = 0;
                std::memset(sample, 0, size_t(channels) * sizeof(Real));
                continue;
            }
            const Store *m0 = point.row(problem, 0, memory, zeros), *m1 = point.row(problem, 1, memory, zeros);
            const Store *m2 = point.row(problem, 2, memory, zeros), *m3 = point.row(problem, 3, memory, zeros);
            const Real w0 = point.weight(0), w1 = point.weight(1), w2 = point.weight(2), w3 = point.weight(3);
            for (int64_t g = 0; g < problem.groups; ++g) {
                Real dot = 0;
#pragma omp simd reduction(+ : dot)
                for (int64_t c = g * width; c < (g + 1) * width; ++c) {
                    const Real value = w0 * load(m0[c]) + w1 * load(m1[c]) + w2 * load(m2[c]) + w3 * load(m3[c]);
                    sample[c] = value;
                    dot += load(query[c]) * value;
                }
                weights[g * taps + i] = Real(problem.factor) * dot;
            }
        }
        for (int64_t g = 0; g < problem.groups; ++g) {
            if (problem.softmax) softmax(weights + g * taps, taps);
            weighted_sum(sum + g * width, samples + g * width, channels, weights + g * taps, taps, width);
        }
        for (int64_t c = 0; c < channels; ++c) store(aggregate + c, sum[c]);
        for (int64_t j = 0; j < problem.groups * taps; ++j) store(weights_out + j, weights[j]);
    }
};

// Backward at one place for what belongs to that place: the gradients of its query and offsets and, kept for the
// second pass, of its logits. Scratch: samples [K][C], sum [C], products [G][K][4] of (gradient, query) with the
// sample's derivatives along (y, x).
template <class Real, class Store>
struct Backward {
    static int64_t scratch(const Problem &problem) {
        return (problem.taps() + 5) * problem.channels + problem.groups * problem.taps() * 4;
    }

    static void at(const Problem &problem, const Workspace<Real, Store> &space, int64_t row, int64_t column,
                   const Store *grad, const Store *grad_weights, const Store *query, const Store *memory,
                   const Real *offset, const Store *weights, Store *grad_query, Real *grad_offset, Real *grad_logits) {
        const int64_t channels = problem.channels, taps = problem.taps(), width = channels / problem.groups;
        Real *samples = space.numbers, *sum = samples + taps * channels, *products = sum + channels;
        const Store *zeros = space.zeros;
        for (int64_t i = 0; i < taps; ++i) {
            const Point<Real> point(problem, (Real(row) + space.tap_y[i]) + offset[2 * i],
                                    (Real(column) + space.tap_x[i]) + offset[2 * i + 1]);
            Real *sample = samples + i * channels;
            if (!point.inside) {
                for (int64_t g = 0; g < problem.groups; ++g) {
                    std::memset(products + (g * taps + i) * 4, 0, 4 * sizeof(Real));
                    grad_logits[g * taps + i] = load(grad_weights[g * taps + i]);
                }
                std::memset(sample, 0, size_t(channels) * sizeof(Real));
                continue;
            }
            const Store *m0 = point.row(problem, 0, memory, zeros), *m1 = point.row(problem, 1, memory, zeros);
            const Store *m2 = point.row(problem, 2, memory, zeros), *m3 = point.row(problem, 3, memory, zeros);
            const Real down = point.down, right = point.right;
            for (int64_t g = 0; g < problem.groups; ++g) {
                Real grad_value = 0, grad_y = 0, grad_x = 0, query_y = 0, query_x = 0;
#pragma omp simd reduction(+ : grad_value, grad_y, grad_x, query_y, query_x)
                for (int64_t c = g * width; c < (g + 1) * width; ++c) {
                    const Real upper_left = load(m0[c]), lower_left = load(m2[c]);
                    const Real upper_step = load(m1[c]) - upper_left, lower_step = load(m3[c]) - lower_left;
                    const Real upper = upper_left + right * upper_step;
                    const Real along_y = lower_left + right * lower_step - upper;
                    const Real along_x = upper_step + down * (lower_step - upper_step);
                    const Real value = upper + down * along_y;
                    const Real of_grad = load(grad[c]), of_query = load(query[c]);
                    sample[c] = value;
                    grad_value += of_grad * value;
                    grad_y += of_grad * along_y, grad_x += of_grad * along_x;
                    query_y += of_query * along_y, query_x += of_query * along_x;
                }
                const Real all[4] = {grad_y, grad_x, query_y, query_x};
                std::memcpy(products + (g * taps + i) * 4, all, sizeof all);
                grad_logits[g * taps + i] = load(grad_weights[g * taps + i]) + grad_value;
            }
        }
        std::memset(grad_offset, 0, size_t(2 * taps) * sizeof(Real));
        for (int64_t g = 0; g < problem.groups; ++g) {
            Real *logits = grad_logits + g * taps;
            Real mean = 0;
            for (int64_t i = 0; problem.softmax && i < taps; ++i) mean += load(weights[g * taps + i]) * logits[i];
            for (int64_t i = 0; i < taps; ++i) {
                const Real weight = load(weights[g * taps + i]), *product = products + (g * taps + i) * 4;
                const Real logit = (problem.softmax ? weight * (logits[i] - mean) : logits[i]) * Real(problem.factor);
                logits[i] = logit;
                grad_offset[2 * i] += weight * product[0] + logit * product[2];
                grad_offset[2 * i + 1] += weight * product[1] + logit * product[3];
            }
            weighted_sum(sum + g * width, samples + g * width, channels, logits, taps, width);
        }
        for (int64_t c = 0; c < channels; ++c) store(grad_query + c, sum[c]);
    }
};

// Second pass of the backward for channels [first, last) of one image: adds every place's share to `grad_memory`.
// Corners outside the map add to four rows of scratch that nobody reads.
template <class Real, class Store>
void scatter(const Problem &problem, const Workspace<Real, Store> &space, int64_t first, int64_t last,
             const Store *grad, const Store *query, const Real *offset, const Store *weights, const Real *grad_logits,
             Real *grad_memory) {
    const int64_t channels = problem.channels, taps = problem.taps(), width = channels / problem.groups;
    Real *nowhere = space.numbers;
    std::memset(nowhere, 0, size_t(4 * channels) * sizeof(Real));
    for (int64_t p = 0; p < problem.places(); ++p)
        std::memset(grad_memory + p * channels + first, 0, size_t(last - first) * sizeof(Real));
    for (int64_t row = 0, p = 0; row < problem.height; ++row) {
        for (int64_t column = 0; column < problem.width; ++column, ++p) {
            const Real *offset_here = offset + p * 2 * taps;
            const Store *grad_here = grad + p * channels, *query_here = query + p * channels;
            for (int64_t i = 0; i < taps; ++i) {
                const Point<Real> point(problem, (Real(row) + space.tap_y[i]) + offset_here[2 * i],
                                        (Real(column) + space.tap_x[i]) + offset_here[2 * i + 1]);
                if (!point.inside) continue;
                Real *r0 = point.row(problem, 0, grad_memory, nowhere);
                Real *r1 = point.row(problem, 1, grad_memory, nowhere + channels);
                Real *r2 = point.row(problem, 2, grad_memory, nowhere + 2 * channels);
                Real *r3 = point.row(problem, 3, grad_memory, nowhere + 3 * channels);
                const Real w0 = point.weight(0), w1 = point.weight(1), w2 = point.weight(2), w3 = point.weight(3);
                for (int64_t g = first / width; g * width < last; ++g) {
                    const int64_t from = first > g * width ? first : g * width;
                    const int64_t to = last < (g + 1) * width ? last : (g + 1) * width;
                    const Real weight = load(weights[(p * problem.groups + g) * taps + i]);
                    const Real grad_logit = grad_logits[(p * problem.groups + g) * taps + i];
#pragma omp simd
                    for (int64_t c = from; c < to; ++c) {
                        const Real share = weight * load(grad_here[c]) + grad_logit * load(query_here[c]);
                        r0[c] += w0 * share;
                        r1[c] += w1 * share;
                        r2[c] += w2 * share;
                        r3[c] += w3 * share;
                    }
                }
            }
        }
    }
}

template <class Real, class Store>
int forward(const Problem &problem, const Store *query, const Store *memory, const Real *offset, Store *aggregate,
            Store *weights) {
    const int64_t channels = problem.channels, places = problem.places(), rows = problem.images * problem.height;
    int failed = 0;
#pragma omp parallel num_threads(int(problem.threads)) reduction(| : failed)
    {
        const Workspace<Real, Store> space(problem, Forward<Real, Store>::scratch(problem));
        failed |= !space.ready();
#pragma omp for schedule(static)
        for (int64_t r = 0; r < rows; ++r) {
            if (!space.ready()) continue;
            const int64_t n = r / problem.height, row = r % problem.height;
            for (int64_t column = 0; column < problem.width; ++column) {
                const int64_t p = row * problem.width + column, here = n * places + p;
                Forward<Real, Store>::at(problem, space, row, column, query + n * problem.query_stride + p * channels,
                                         memory + n * problem.memory_stride,
                                         offset + n * problem.offset_stride + p * 2 * problem.taps(),
                                         aggregate + here * channels, weights + here * problem.groups * problem.taps());
            }
        }
    }
    return failed;
}

template <class Real, class Store>
int backward(const Problem &problem, const Store *grad, const Store *grad_weights, const Store *query,
             const Store *memory, const Real *offset, const Store *weights, Store *grad_query, Real *grad_memory,
             Real *grad_offset, Real *grad_logits) {
    const int64_t channels = problem.channels, taps = problem.taps(), places = problem.places();
    const int64_t per_place = problem.groups * taps, rows = problem.images * problem.height;
    // Enough blocks of channels to occupy the threads when there are few images; 16 channels fill a cache line.
    const int64_t wanted = (problem.threads + problem.images - 1) / problem.images;
    const int64_t block = ((channels + wanted - 1) / wanted + 15) / 16 * 16, blocks = (channels + block - 1) / block;
    int failed = 0;
#pragma omp parallel num_threads(int(problem.threads)) reduction(| : failed)
    {
        const Workspace<Real, Store> space(problem, Backward<Real, Store>::scratch(problem));
        failed |= !space.ready();
#pragma omp for schedule(static)
        for (int64_t r = 0; r < rows; ++r) {
            if (!space.ready()) continue;
            const int64_t n = r / problem.height, row = r % problem.height;
            for (int64_t column = 0; column < problem.width; ++column) {
                const int64_t p = row * problem.width + column, here = n * places + p;
                Backward<Real, Store>::at(problem, space, row, column, grad + here * channels,
                                          grad_weights + here * per_place,
                                          query + n * problem.query_stride + p * channels,
                                          memory + n * problem.memory_stride,
                                          offset + n * problem.offset_stride + p * 2 * taps, weights + here * per_place,
                                          grad_query + here * channels, grad_offset + here * 2 * taps,
                                          grad_logits + here * per_place);
            }
        }
#pragma omp for schedule(static)
        for (int64_t task = 0; task < problem.images * blocks; ++task) {
            if (!space.ready()) continue;
            const int64_t n = task / blocks, first = task % blocks * block;
            const int64_t last = first + block < channels ? first + block : channels;
            scatter<Real, Store>(problem, space, first, last, grad + n * places * channels,
                                 query + n * problem.query_stride, offset + n * problem.offset_stride,
                                 weights + n * places * per_place, grad_logits + n * places * per_place,
                                 grad_memory + n * places * channels);
        }
    }
    return failed;
}

template <class Real, class Store>
int forward_of(const Problem *problem, const void *const *in, void *const *out) {
    return forward<Real, Store>(*problem, static_cast<const Store *>(in[0]), static_cast<const Store *>(in[1]),
                                static_cast<const Real *>(in[2]), static_cast<Store *>(out[0]),
                                static_cast<Store *>(out[1]));
}

template <class Real, class Store>
int backward_of(const Problem *problem, const void *const *in, void *const *out) {
    return backward<Real, Store>(*problem, static_cast<const Store *>(in[3]), static_cast<const Store *>(in[4]),
                                 static_cast<const Store *>(in[0]), static_cast<const Store *>(in[1]),
                                 static_cast<const Real *>(in[2]), static_cast<const Store *>(in[5]),
                                 static_cast<Store *>(out[0]), static_cast<Real *>(out[1]),
                                 static_cast<Real *>(out[2]), static_cast<Real *>(out[3]));
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

// in: query, memory, offset, grad of aggregate, grad of weights, weights; out: grads of query, memory, offset, logits.
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
