// The SIFA operator for CPUs: forward and backward over channels_last maps.
//
// n image, y row, x column, c channel, i tap; C channels, K taps, P = height*width places.
// A map is [P][C] per image, offsets [P][K][2] as (dy, dx), weights [P][K]. Storage may be 16 bits wide; sums and
// coordinates are `Real` (float, or double for double storage). All index arithmetic is 64 bits wide.
//
// No two threads ever add to one number, and every sum runs in the order of places and taps, so results do not depend
// on the number of threads.

#pragma once

#include <cstdint>
#include <cstring>

#include "numbers.h"
#include "sampling.h"

namespace {

// to = sum over taps of weights[i] * samples[i * stride ...], for channels [first, last), `VECTORS` vectors at a time.
template <class Value, int VECTORS, class Real>
int64_t weighted_sum(Real *to, const Real *samples, int64_t stride, const Real *weights, int64_t taps, int64_t first,
                     int64_t last) {
    constexpr int64_t size = sizeof(Value) / sizeof(Real), step = size * VECTORS;
    for (; first + step <= last; first += step) {
        Value sums[VECTORS];
        for (Value &sum : sums) sum = Value() + 0;
        for (int64_t i = 0; i < taps; ++i) {
            const Real *sample = samples + i * stride + first;
            for (int j = 0; j < VECTORS; ++j) sums[j] += weights[i] * Load<Value, Real>::from(sample + j * size);
        }
        for (int j = 0; j < VECTORS; ++j) put(to + first + j * size, sums[j]);
    }
    return first;
}

template <class Real>
void weighted_sum(Real *to, const Real *samples, int64_t stride, const Real *weights, int64_t taps, int64_t width) {
    typedef typename VectorOf<Real>::type Vector;
    int64_t done = weighted_sum<Vector, 4>(to, samples, stride, weights, taps, 0, width);
    done = weighted_sum<Vector, 1>(to, samples, stride, weights, taps, done, width);
    weighted_sum<Real, 1>(to, samples, stride, weights, taps, done, width);
}

// Forward at one place. Scratch: samples [K][C], sum [C], weights [K].
template <class Real, class Store>
struct Forward {
    static int64_t scratch(const Problem &problem) {
        return (problem.taps() + 1) * problem.channels + problem.taps();
    }

    // The sample's channels [first, last), and their products with the query added to `dot`. Returns where it stopped.
    template <class Value>
    static int64_t blend(const Rows<const Store> &rows, const Point<Real> &point, const Store *query, Real *sample,
                         int64_t first, int64_t last, Value &dot) {
        constexpr int64_t step = sizeof(Value) / sizeof(Real);
        typedef Load<Value, Store> In;
        const Store *m0 = rows.row[0], *m1 = rows.row[1], *m2 = rows.row[2], *m3 = rows.row[3];
        const Real w0 = point.weight(0), w1 = point.weight(1), w2 = point.weight(2), w3 = point.weight(3);
        Value sum = dot;
        for (; first + step <= last; first += step) {
            const Value value = w0 * In::from(m0 + first) + w1 * In::from(m1 + first) + w2 * In::from(m2 + first) +
                                w3 * In::from(m3 + first);
            put(sample + first, value);
            sum += In::from(query + first) * value;
        }
        dot = sum;
        return first;
    }

    static void at(const Problem &problem, const Workspace<Real, Store> &space, int64_t row, int64_t column,
                   const Store *query, const Store *memory, const Real *offset, Store *aggregate, Store *weights_out) {
        const int64_t channels = problem.channels, taps = problem.taps();
        Real *samples = space.numbers, *sum = samples + taps * channels, *weights = sum + channels;
        for (int64_t i = 0; i < taps; ++i) {
            const Point<Real> point(problem, (Real(row) + space.tap_y[i]) + offset[2 * i],
                                    (Real(column) + space.tap_x[i]) + offset[2 * i + 1]);
            Real *sample = samples + i * channels;
            if (!point.inside) {
                weights[i] = 0;
                std::memset(sample, 0, size_t(channels) * sizeof(Real));
                continue;
            }
            const Rows<const Store> rows(problem, point, memory, static_cast<const Store *>(space.zeros), 0);
            typedef typename VectorOf<Real>::type Vector;
            Vector dots = Vector() + 0;
            Real dot = 0;
            const int64_t rest = blend(rows, point, query, sample, 0, channels, dots);
            blend(rows, point, query, sample, rest, channels, dot);
            weights[i] = Real(problem.factor) * (dot + total(dots));
        }
        if (problem.softmax) softmax(weights, taps);
        weighted_sum(sum, samples, channels, weights, taps, channels);
        for (int64_t c = 0; c < channels; ++c) store(aggregate + c, sum[c]);
        for (int64_t i = 0; i < taps; ++i) store(weights_out + i, weights[i]);
    }
};

// Backward at one place for what belongs to that place: the gradients of its query and offsets and, kept for the
// second pass, of its logits. Scratch: samples [K][C], sum [C], products [K][4] of (gradient, query) with the
// sample's derivatives along (y, x).
template <class Real, class Store>
struct Backward {
    static int64_t scratch(const Problem &problem) {
        return (problem.taps() + 5) * problem.channels + problem.taps() * 4;
    }

    // The sample's channels [first, last). Added to `dot`: gradient times sample, gradient times the sample's
    // derivatives along y and x, query times these derivatives. Returns where it stopped.
    template <class Value>
    static int64_t blend(const Rows<const Store> &rows, const Point<Real> &point, const Store *grad,
                         const Store *query, Real *sample, int64_t first, int64_t last, Value (&dot)[5]) {
        constexpr int64_t step = sizeof(Value) / sizeof(Real);
        typedef Load<Value, Store> In;
        const Store *m0 = rows.row[0], *m1 = rows.row[1], *m2 = rows.row[2], *m3 = rows.row[3];
        const Real down = point.down, right = point.right;
        Value grad_value = dot[0], grad_y = dot[1], grad_x = dot[2], query_y = dot[3], query_x = dot[4];
        for (; first + step <= last; first += step) {
            const Value upper_left = In::from(m0 + first), lower_left = In::from(m2 + first);
            const Value upper_step = In::from(m1 + first) - upper_left, lower_step = In::from(m3 + first) - lower_left;
            const Value upper = upper_left + right * upper_step;
            const Value along_y = lower_left + right * lower_step - upper;
            const Value along_x = upper_step + down * (lower_step - upper_step);
            const Value value = upper + down * along_y;
            const Value of_grad = In::from(grad + first), of_query = In::from(query + first);
            put(sample + first, value);
            grad_value += of_grad * value;
            grad_y += of_grad * along_y, grad_x += of_grad * along_x;
            query_y += of_query * along_y, query_x += of_query * along_x;
        }
        dot[0] = grad_value, dot[1] = grad_y, dot[2] = grad_x, dot[3] = query_y, dot[4] = query_x;
        return first;
    }

    static void at(const Problem &problem, const Workspace<Real, Store> &space, int64_t row, int64_t column,
                   const Store *grad, const Store *grad_weights, const Store *query, const Store *memory,
                   const Real *offset, const Store *weights, Store *grad_query, Real *grad_offset, Real *grad_logits) {
        const int64_t channels = problem.channels, taps = problem.taps();
        Real *samples = space.numbers, *sum = samples + taps * channels, *products = sum + channels;
        for (int64_t i = 0; i < taps; ++i) {
            const Point<Real> point(problem, (Real(row) + space.tap_y[i]) + offset[2 * i],
                                    (Real(column) + space.tap_x[i]) + offset[2 * i + 1]);
            Real *sample = samples + i * channels;
            if (!point.inside) {
                std::memset(products + 4 * i, 0, 4 * sizeof(Real));
                grad_logits[i] = load(grad_weights[i]);
                std::memset(sample, 0, size_t(channels) * sizeof(Real));
                continue;
            }
            const Rows<const Store> rows(problem, point, memory, static_cast<const Store *>(space.zeros), 0);
            typedef typename VectorOf<Real>::type Vector;
            Vector partial[5] = {Vector() + 0, Vector() + 0, Vector() + 0, Vector() + 0, Vector() + 0};
            Real sums[5] = {0, 0, 0, 0, 0};
            const int64_t rest = blend(rows, point, grad, query, sample, 0, channels, partial);
            blend(rows, point, grad, query, sample, rest, channels, sums);
            for (int j = 0; j < 5; ++j) sums[j] += total(partial[j]);
            std::memcpy(products + 4 * i, sums + 1, 4 * sizeof(Real));
            grad_logits[i] = load(grad_weights[i]) + sums[0];
        }
        Real mean = 0;
        for (int64_t i = 0; problem.softmax && i < taps; ++i) mean += load(weights[i]) * grad_logits[i];
        for (int64_t i = 0; i < taps; ++i) {
            const Real weight = load(weights[i]), *product = products + 4 * i, of_weight = grad_logits[i];
            const Real logit = (problem.softmax ? weight * (of_weight - mean) : of_weight) * Real(problem.factor);
            grad_logits[i] = logit;
            grad_offset[2 * i] = weight * product[0] + logit * product[2];
            grad_offset[2 * i + 1] = weight * product[1] + logit * product[3];
        }
        weighted_sum(sum, samples, channels, grad_logits, taps, channels);
        for (int64_t c = 0; c < channels; ++c) store(grad_query + c, sum[c]);
    }
};

// Adds weight*grad + grad_logit*query to a point's corners, channels [first, last). Returns where it stopped.
template <class Value, class Real, class Store>
int64_t spread(const Rows<Real> &rows, const Point<Real> &point, Real weight, Real grad_logit, const Store *grad,
               const Store *query, int64_t first, int64_t last) {
    constexpr int64_t step = sizeof(Value) / sizeof(Real);
    typedef Load<Value, Store> In;
    typedef Load<Value, Real> Sum;
    Real *r0 = rows.row[0], *r1 = rows.row[1], *r2 = rows.row[2], *r3 = rows.row[3];
    const Real w0 = point.weight(0), w1 = point.weight(1), w2 = point.weight(2), w3 = point.weight(3);
    for (; first + step <= last; first += step) {
        const Value share = weight * In::from(grad + first) + grad_logit * In::from(query + first);
        put(r0 + first, Value(Sum::from(r0 + first) + w0 * share));
        put(r1 + first, Value(Sum::from(r1 + first) + w1 * share));
        put(r2 + first, Value(Sum::from(r2 + first) + w2 * share));
        put(r3 + first, Value(Sum::from(r3 + first) + w3 * share));
    }
    return first;
}

// Second pass of the backward for channels [first, last) of one image: adds every place's share to `grad_memory`.
// Corners outside the map add to four rows of scratch that nobody reads.
template <class Real, class Store>
void scatter(const Problem &problem, const Workspace<Real, Store> &space, int64_t first, int64_t last,
             const Store *grad, const Store *query, const Real *offset, const Store *weights, const Real *grad_logits,
             Real *grad_memory) {
    const int64_t channels = problem.channels, taps = problem.taps();
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
                const Rows<Real> rows(problem, point, grad_memory, nowhere, channels);
                const Real weight = load(weights[p * taps + i]), grad_logit = grad_logits[p * taps + i];
                typedef typename VectorOf<Real>::type Vector;
                const int64_t rest =
                    spread<Vector>(rows, point, weight, grad_logit, grad_here, query_here, first, last);
                spread<Real>(rows, point, weight, grad_logit, grad_here, query_here, rest, last);
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
#pragma omp for schedule(dynamic, 4)  // on a busy machine a thread may be put aside: the others take over its rows
        for (int64_t r = 0; r < rows; ++r) {
            if (!space.ready()) continue;
            const int64_t n = r / problem.height, row = r % problem.height;
            for (int64_t column = 0; column < problem.width; ++column) {
                const int64_t p = row * problem.width + column, here = n * places + p;
                Forward<Real, Store>::at(problem, space, row, column, query + n * problem.query_stride + p * channels,
                                         memory + n * problem.memory_stride,
                                         offset + n * problem.offset_stride + p * 2 * problem.taps(),
                                         aggregate + here * channels, weights + here * problem.taps());
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
    const int64_t rows = problem.images * problem.height;
    // Enough blocks of channels to occupy the threads when there are few images; 16 channels fill a cache line.
    const int64_t wanted = (problem.threads + problem.images - 1) / problem.images;
    const int64_t block = ((channels + wanted - 1) / wanted + 15) / 16 * 16, blocks = (channels + block - 1) / block;
    int failed = 0;
#pragma omp parallel num_threads(int(problem.threads)) reduction(| : failed)
    {
        const Workspace<Real, Store> space(problem, Backward<Real, Store>::scratch(problem));
        failed |= !space.ready();
#pragma omp for schedule(dynamic, 4)  // on a busy machine a thread may be put aside: the others take over its rows
        for (int64_t r = 0; r < rows; ++r) {
            if (!space.ready()) continue;
            const int64_t n = r / problem.height, row = r % problem.height;
            for (int64_t column = 0; column < problem.width; ++column) {
                const int64_t p = row * problem.width + column, here = n * places + p;
                Backward<Real, Store>::at(problem, space, row, column, grad + here * channels,
                                          grad_weights + here * taps,
                                          query + n * problem.query_stride + p * channels,
                                          memory + n * problem.memory_stride,
                                          offset + n * problem.offset_stride + p * 2 * taps, weights + here * taps,
                                          grad_query + here * channels, grad_offset + here * 2 * taps,
                                          grad_logits + here * taps);
            }
        }
#pragma omp for schedule(dynamic)
        for (int64_t task = 0; task < problem.images * blocks; ++task) {
            if (!space.ready()) continue;
            const int64_t n = task / blocks, first = task % blocks * block;
            const int64_t last = first + block < channels ? first + block : channels;
            scatter<Real, Store>(problem, space, first, last, grad + n * places * channels,
                                 query + n * problem.query_stride, offset + n * problem.offset_stride,
                                 weights + n * places * taps, grad_logits + n * places * taps,
                                 grad_memory + n * places * channels);
        }
    }
    return failed;
}

}  // namespace
