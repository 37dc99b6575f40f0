// The SIFA operator for CPUs: forward and backward over channels_last maps.
//
// n image, y row, x column, c channel, i tap; C channels, K taps, P = height*width places.
// A map is [P][C] per image, offsets [P][K][2] as (dy, dx), weights [P][K]. Sums, coordinates and the memory map are
// `Real` (float, or double for double storage); all else is `Store`, which may be 16 bits wide: the memory map is read
// 4K times, so it is widened before, by the caller. Addresses are computed in 64 bits.
//
// No two threads ever add to one number, and every sum runs in the order of places and taps, so results do not depend
// on the number of threads.

#pragma once

#include <algorithm>
#include <cstdint>

#include "numbers.h"
#include "sampling.h"

namespace {

// The rows of channels at the four corners of each tap's point.
template <class T>
struct Corners {
    T *row[MOST_TAPS][4];
};

// A thread's memory for one place at a time.
template <class Real>
struct Workspace {
    Points<Real> points;
    Corners<const Real> corners;
    Scratch<Real> zeros;    // [C], what corners outside the map read
    Scratch<Real> samples;  // [K][C]
    Scratch<Real> lanes;    // [sums][WIDE], sums over channels that have not been added up across lanes
    Scratch<Real> weights;  // [K]
    Scratch<Real> wide[2];  // [C], rows of 16-bit numbers widened

    Workspace(const Problem &problem, int64_t sums)
        : points(problem),
          zeros(problem.channels),
          samples(problem.taps() * problem.channels),
          lanes(sums * WIDE<Real>),
          weights(problem.taps()),
          wide{Scratch<Real>(problem.channels), Scratch<Real>(problem.channels)} {}

    bool ready() const { return zeros && samples && lanes && weights && wide[0] && wide[1]; }

    // Go to a place.
    void locate(const Problem &problem, int64_t row, int64_t column, const Real *offset, const Real *memory) {
        points.locate(row, column, offset);
        for (int64_t i = 0; i < problem.taps(); ++i)
            points.rows(i, memory, static_cast<const Real *>(zeros), 0, corners.row[i]);
    }
};

template <class Real, class Store>
struct Copy {
    const Store *from;
    Real *to;

    template <int LANES, int COUNT>
    void run(int64_t c) const {
        for (int j = 0; j < COUNT; ++j) store<LANES>(to + c + j * LANES, load<LANES>(from + c + j * LANES));
    }
};

// The row itself, or where it is 16 bits wide a copy in `room`, for rows that are read once a tap.
template <class Real, class Store>
const Real *widened(const Problem &problem, const Store *row, Real *room) {
    if constexpr (std::is_same<Real, Store>::value) {
        return row;
    } else {
        over_channels<Real>(0, problem.channels, Copy<Real, Store>{row, room});
        return room;
    }
}

// Of the vectors of channels that over_channels hands it: to = sum over taps of weights * samples.
template <class Real, class Store>
struct WeightedSum {
    const Problem &problem;
    const Real *samples, *weights;
    Store *to;

    template <int LANES, int COUNT>
    void run(int64_t c) const {
        Vector<Real, LANES> sums[COUNT] = {};
        for (int64_t i = 0; i < problem.taps(); ++i)
            for (int j = 0; j < COUNT; ++j)
                sums[j] += weights[i] * load<LANES>(samples + i * problem.channels + c + j * LANES);
        for (int j = 0; j < COUNT; ++j) store<LANES>(to + c + j * LANES, sums[j]);
    }
};

// Of these vectors of channels: the samples of all taps, and what they add to the products of query and samples. The
// query stays in registers, and two sums run side by side so that one need not wait for the other.
template <class Real, class Store>
struct SampleAndMultiply {
    const Problem &problem;
    const Workspace<Real> &space;
    const Store *query;

    template <int LANES, int COUNT>
    void run(int64_t c) const {
        Vector<Real, LANES> q[COUNT];
        for (int j = 0; j < COUNT; ++j) q[j] = load<LANES>(query + c + j * LANES);
        for (int64_t i = 0; i < problem.taps(); ++i) {
            const Real *const *row = space.corners.row[i];
            const Real w0 = space.points.weight[0][i], w1 = space.points.weight[1][i];
            const Real w2 = space.points.weight[2][i], w3 = space.points.weight[3][i];
            Real *sample = space.samples + i * problem.channels + c, *lanes = space.lanes + i * WIDE<Real>;
            Vector<Real, LANES> dot[2] = {load<LANES>(lanes)};
            for (int j = 0; j < COUNT; ++j) {
                const int64_t at = c + j * LANES;
                const Vector<Real, LANES> value = w0 * load<LANES>(row[0] + at) + w1 * load<LANES>(row[1] + at) +
                                                  w2 * load<LANES>(row[2] + at) + w3 * load<LANES>(row[3] + at);
                store<LANES>(sample + j * LANES, value);
                dot[j % 2] += q[j] * value;
            }
            store<LANES>(lanes, dot[0] + dot[1]);
        }
    }
};

template <class Real, class Store>
void forward_at(const Problem &problem, Workspace<Real> &space, int64_t row, int64_t column, const Store *query,
                const Real *memory, const Real *offset, Store *aggregate, Store *weights_out) {
    const int64_t taps = problem.taps();
    space.locate(problem, row, column, offset, memory);
    std::fill_n(space.lanes.get(), taps * WIDE<Real>, Real(0));
    over_channels<Real>(0, problem.channels, SampleAndMultiply<Real, Store>{problem, space, query});
    Real *weights = space.weights;
    for (int64_t i = 0; i < taps; ++i)
        weights[i] = Real(problem.factor) * total<WIDE<Real>>(space.lanes + i * WIDE<Real>);
    if (problem.softmax) softmax(weights, taps);
    over_channels<Real>(0, problem.channels, WeightedSum<Real, Store>{problem, space.samples, weights, aggregate});
    for (int64_t i = 0; i < taps; ++i) store_one(weights_out + i, weights[i]);
}

// What the backward reads and writes; gradients that are not needed are null. Images lie one after the other.
template <class Real, class Store>
struct Gradients {
    const Store *of_aggregate, *of_weights;  // of_weights may be null, for zeros
    const Store *weights;
    Store *query;
    Real *memory, *offset;
    Real *logits;  // handed from the first pass to the second
};

// The products of one tap that the backward needs: the aggregate's gradient with the sample and with the sample's
// derivatives along y and x, then the query with these derivatives.
enum Product { GRAD_VALUE, GRAD_Y, GRAD_X, QUERY_Y, QUERY_X, PRODUCTS };

// Of these vectors of channels: the samples of all taps, and what they add to the products above, of which only the
// first is made unless SLOPES.
template <class Real, bool SLOPES>
struct SampleAndDifferentiate {
    const Problem &problem;
    const Workspace<Real> &space;
    const Real *query, *grad;

    template <int LANES, int COUNT>
    void run(int64_t c) const {
        for (int64_t i = 0; i < problem.taps(); ++i) tap<LANES, COUNT>(c, i);
    }

    template <int LANES, int COUNT>
    void tap(int64_t c, int64_t i) const {
        const Real *const *row = space.corners.row[i];
        const Real down = space.points.down[i], right = space.points.right[i];
        Real *sample = space.samples + i * problem.channels + c, *lanes = space.lanes + i * PRODUCTS * WIDE<Real>;
        Vector<Real, LANES> sums[PRODUCTS];
        for (int p = 0; p < PRODUCTS; ++p) sums[p] = load<LANES>(lanes + p * WIDE<Real>);
        for (int j = 0; j < COUNT; ++j) {
            const int64_t at = c + j * LANES;
            const Vector<Real, LANES> upper_left = load<LANES>(row[0] + at), lower_left = load<LANES>(row[2] + at);
            const Vector<Real, LANES> upper_step = load<LANES>(row[1] + at) - upper_left;
            const Vector<Real, LANES> lower_step = load<LANES>(row[3] + at) - lower_left;
            const Vector<Real, LANES> upper = upper_left + right * upper_step;
            const Vector<Real, LANES> along_y = lower_left + right * lower_step - upper;
            const Vector<Real, LANES> value = upper + down * along_y;
            const Vector<Real, LANES> g = load<LANES>(grad + at);
            store<LANES>(sample + j * LANES, value);
            sums[GRAD_VALUE] += g * value;
            if constexpr (SLOPES) {
                const Vector<Real, LANES> along_x = upper_step + down * (lower_step - upper_step);
                const Vector<Real, LANES> q = load<LANES>(query + at);
                sums[GRAD_Y] += g * along_y, sums[GRAD_X] += g * along_x;
                sums[QUERY_Y] += q * along_y, sums[QUERY_X] += q * along_x;
            }
        }
        for (int p = 0; p < (SLOPES ? PRODUCTS : 1); ++p) store<LANES>(lanes + p * WIDE<Real>, sums[p]);
    }
};

// First pass, one place: the gradients of its query and offsets, and of its logits.
template <class Real, class Store>
void backward_at(const Problem &problem, Workspace<Real> &space, int64_t row, int64_t column, const Store *query,
                 const Real *memory, const Real *offset, const Gradients<Real, Store> &at) {
    const int64_t taps = problem.taps(), channels = problem.channels;
    space.locate(problem, row, column, offset, memory);
    std::fill_n(space.lanes.get(), taps * PRODUCTS * WIDE<Real>, Real(0));
    const Real *q = widened(problem, query, space.wide[0].get());
    const Real *g = widened(problem, at.of_aggregate, space.wide[1].get());
    if (at.offset)
        over_channels<Real>(0, channels, SampleAndDifferentiate<Real, true>{problem, space, q, g});
    else
        over_channels<Real>(0, channels, SampleAndDifferentiate<Real, false>{problem, space, q, g});
    const auto product = [&](int64_t i, Product which) {
        return total<WIDE<Real>>(space.lanes + (i * PRODUCTS + which) * WIDE<Real>);
    };
    Real mean = 0;
    for (int64_t i = 0; i < taps; ++i) {
        at.logits[i] = product(i, GRAD_VALUE) + (at.of_weights ? load_one(at.of_weights + i) : Real(0));
        if (problem.softmax) mean += load_one(at.weights + i) * at.logits[i];
    }
    for (int64_t i = 0; i < taps; ++i) {
        const Real weight = load_one(at.weights + i);
        const Real logit = (problem.softmax ? weight * (at.logits[i] - mean) : at.logits[i]) * Real(problem.factor);
        at.logits[i] = logit;
        if (!at.offset) continue;
        at.offset[2 * i] = weight * product(i, GRAD_Y) + logit * product(i, QUERY_Y);
        at.offset[2 * i + 1] = weight * product(i, GRAD_X) + logit * product(i, QUERY_X);
    }
    if (at.query)
        over_channels<Real>(0, channels, WeightedSum<Real, Store>{problem, space.samples, at.logits, at.query});
}

// Second pass, one place and these vectors of its channels: what each tap adds to the memory's gradient at the corners,
// which is weight*grad + logit*query times the corner's coefficient. Corners outside the map are rows nobody reads.
template <class Real, class Store>
struct Scatter {
    const Problem &problem;
    const Points<Real> &points;
    const Corners<Real> &corners;
    const Store *query, *grad, *weights;
    const Real *logits;

    template <int LANES, int COUNT>
    void run(int64_t c) const {
        if constexpr (COUNT > BLOCK / 2) {  // two vectors each of query and gradient are held
            run<LANES, COUNT / 2>(c);
            run<LANES, COUNT / 2>(c + COUNT / 2 * LANES);
        } else {
            Vector<Real, LANES> q[COUNT], g[COUNT];
            for (int j = 0; j < COUNT; ++j) q[j] = load<LANES>(query + c + j * LANES);
            for (int j = 0; j < COUNT; ++j) g[j] = load<LANES>(grad + c + j * LANES);
            for (int64_t i = 0; i < problem.taps(); ++i)
                if (points.inside(i)) tap<LANES, COUNT>(c, i, q, g);
        }
    }

    template <int LANES, int COUNT>
    void tap(int64_t c, int64_t i, const Vector<Real, LANES> (&q)[COUNT], const Vector<Real, LANES> (&g)[COUNT]) const {
        Real *const *row = corners.row[i];
        const Real weight = load_one(weights + i), logit = logits[i];
        for (int j = 0; j < COUNT; ++j) {
            const Vector<Real, LANES> share = weight * g[j] + logit * q[j];
            for (int corner = 0; corner < 4; ++corner) {
                Real *to = row[corner] + c + j * LANES;
                store<LANES>(to, load<LANES>(to) + points.weight[corner][i] * share);
            }
        }
    }
};

// Pieces of `all` of which there are enough for threads that are put aside or slower than others.
int64_t piece_size(const Problem &problem, int64_t all) { return std::max<int64_t>(1, all / (problem.threads * 16)); }

template <class Real, class Store>
int forward(const Problem &problem, const Store *query, const Real *memory, const Real *offset, Store *aggregate,
            Store *weights) {
    const int64_t channels = problem.channels, taps = problem.taps(), places = problem.places();
    const int64_t all = problem.images * places, piece = piece_size(problem, all);
    int failed = 0;
#pragma omp parallel num_threads(int(problem.threads)) reduction(| : failed)
    {
        Workspace<Real> space(problem, taps);
        failed |= !space.ready();
#pragma omp for schedule(dynamic, piece)
        for (int64_t here = 0; here < all; ++here) {
            if (!space.ready()) continue;
            const int64_t n = here / places, p = here % places;
            forward_at<Real, Store>(problem, space, p / problem.width, p % problem.width,
                                    query + n * problem.query_stride + p * channels, memory + n * problem.memory_stride,
                                    offset + n * problem.offset_stride + p * 2 * taps, aggregate + here * channels,
                                    weights + here * taps);
        }
    }
    return failed;
}

// The memory's gradient of one image, channels [first, last).
template <class Real, class Store>
void scatter(const Problem &problem, Points<Real> &points, Real *nowhere, int64_t n, int64_t first, int64_t last,
             const Store *query, const Real *offset, const Gradients<Real, Store> &gradients) {
    const int64_t channels = problem.channels, taps = problem.taps(), places = problem.places();
    Real *memory = gradients.memory + n * places * channels;
    for (int64_t p = 0; p < places; ++p) std::fill(memory + p * channels + first, memory + p * channels + last, Real(0));
    Corners<Real> corners;
    for (int64_t p = 0; p < places; ++p) {
        const int64_t here = n * places + p;
        points.locate(p / problem.width, p % problem.width, offset + n * problem.offset_stride + p * 2 * taps);
        for (int64_t i = 0; i < taps; ++i) points.rows(i, memory, nowhere, channels, corners.row[i]);
        over_channels<Real>(
            first, last,
            Scatter<Real, Store>{problem, points, corners, query + n * problem.query_stride + p * channels,
                                 gradients.of_aggregate + here * channels, gradients.weights + here * taps,
                                 gradients.logits + here * taps});
    }
}

template <class Real, class Store>
int backward(const Problem &problem, const Store *query, const Real *memory, const Real *offset,
             const Gradients<Real, Store> &gradients) {
    const int64_t channels = problem.channels, taps = problem.taps(), places = problem.places();
    const int64_t all = problem.images * places, piece = piece_size(problem, all);
    // Two blocks of channels a thread when there are few images; 16 channels fill a cache line.
    const int64_t wanted = (2 * problem.threads + problem.images - 1) / problem.images;
    const int64_t block = ((channels + wanted - 1) / wanted + 15) / 16 * 16, blocks = (channels + block - 1) / block;
    int failed = 0;
#pragma omp parallel num_threads(int(problem.threads)) reduction(| : failed)
    {
        Workspace<Real> space(problem, PRODUCTS * taps);
        Scratch<Real> nowhere(4 * channels);
        const bool ready = space.ready() && nowhere;
        failed |= !ready;
#pragma omp for schedule(dynamic, piece)
        for (int64_t here = 0; here < all; ++here) {
            if (!ready) continue;
            const int64_t n = here / places, p = here % places;
            Gradients<Real, Store> at = gradients;
            at.of_aggregate += here * channels, at.weights += here * taps, at.logits += here * taps;
            if (at.of_weights) at.of_weights += here * taps;
            if (at.query) at.query += here * channels;
            if (at.offset) at.offset += here * 2 * taps;
            backward_at<Real, Store>(problem, space, p / problem.width, p % problem.width,
                                     query + n * problem.query_stride + p * channels, memory + n * problem.memory_stride,
                                     offset + n * problem.offset_stride + p * 2 * taps, at);
        }
#pragma omp for schedule(dynamic)
        for (int64_t task = 0; task < (gradients.memory ? problem.images * blocks : 0); ++task) {
            if (!ready) continue;
            const int64_t first = task % blocks * block;
            scatter<Real, Store>(problem, space.points, nowhere, task / blocks, first, std::min(first + block, channels),
                                 query, offset, gradients);
        }
    }
    return failed;
}

}  // namespace
