// Where the CPU kernels read: the problem's sizes, the sampling points and the rows of channels at their corners.
//
// n image, y row, x column, c channel, i tap; C channels, K taps, P = height*width places.

#pragma once

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <type_traits>

#include "numbers.h"
#include "problem.h"

constexpr int64_t MOST_TAPS = 81;  // a kernel of 9 x 9

// Memory of one thread, on cache lines of its own: a vector that straddles two lines costs twice.
template <class T>
class Scratch {
    T *numbers;

public:
    explicit Scratch(int64_t count) {
        const size_t bytes = (size_t(count) * sizeof(T) + 63) / 64 * 64;
        numbers = static_cast<T *>(std::aligned_alloc(64, bytes));
        if (numbers) std::memset(static_cast<void *>(numbers), 0, bytes);
    }
    Scratch(const Scratch &) = delete;
    ~Scratch() { std::free(numbers); }

    operator T *() const { return numbers; }
    T *get() const { return numbers; }
};

// The sampling points of one place, one array element a tap: the cell to the point's upper left and how far it is from
// there. Worked out for a vector of taps at once.
template <class Real>
class Points {
    static constexpr int LANES = WIDE<Real>, MOST = (MOST_TAPS + LANES - 1) / LANES * LANES;
    typedef Vector<Real, LANES> Values;
    typedef decltype(Values() < Values()) Wholes;  // whole numbers and masks, as many bits wide as Real
    typedef typename std::remove_reference<decltype(Wholes()[0])>::type Whole;

    const Problem &problem;
    alignas(64) Real tap_y[MOST], tap_x[MOST], offset_y[MOST], offset_x[MOST];
    alignas(64) Whole top[MOST], left[MOST], within[MOST], interior[MOST];

public:
    alignas(64) Real down[MOST], right[MOST];  // 0..1
    alignas(64) Real weight[4][MOST];          // bilinear coefficients of the corners

    explicit Points(const Problem &of) : problem(of) {
        for (int64_t i = 0; i < MOST; ++i) {
            tap_y[i] = Real(i / problem.kernel - problem.kernel / 2);
            tap_x[i] = Real(i % problem.kernel - problem.kernel / 2);
            offset_y[i] = offset_x[i] = 0;
        }
    }

    void locate(int64_t row, int64_t column, const Real *offset) {
        const int64_t taps = problem.taps();
        for (int64_t i = 0; i < taps; ++i) offset_y[i] = offset[2 * i], offset_x[i] = offset[2 * i + 1];
        const Real height = Real(problem.height), width = Real(problem.width);
        const Whole last_row = Whole(problem.height - 1), last_column = Whole(problem.width - 1);
        for (int64_t i = 0; i < taps; i += LANES) {
            Values y = (Real(row) + load<LANES>(tap_y + i)) + load<LANES>(offset_y + i);
            Values x = (Real(column) + load<LANES>(tap_x + i)) + load<LANES>(offset_x + i);
            // Comparisons with NaN are false: NaN is outside, and only numbers within the map become whole ones.
            const Wholes inside = (y >= -1) & (y < height) & (x >= -1) & (x < width);
            y = reinterpret<Values>(reinterpret<Wholes>(y) & inside);
            x = reinterpret<Values>(reinterpret<Wholes>(x) & inside);
            const Wholes at_y = floor(y), at_x = floor(x);
            const Values from_y = y - __builtin_convertvector(at_y, Values), to_y = 1 - from_y;
            const Values from_x = x - __builtin_convertvector(at_x, Values), to_x = 1 - from_x;
            store<LANES>(top + i, at_y), store<LANES>(left + i, at_x);
            store<LANES>(within + i, inside);
            store<LANES>(interior + i,
                         Wholes(inside & (at_y >= 0) & (at_y < last_row) & (at_x >= 0) & (at_x < last_column)));
            store<LANES>(down + i, from_y), store<LANES>(right + i, from_x);
            store<LANES>(weight[0] + i, Values(to_y * to_x)), store<LANES>(weight[1] + i, Values(to_y * from_x));
            store<LANES>(weight[2] + i, Values(from_y * to_x)), store<LANES>(weight[3] + i, Values(from_y * from_x));
        }
    }

    // False: the point is a whole cell or more outside the map, or not a number.
    bool inside(int64_t tap) const { return within[tap] != 0; }

    // The rows of C channels at the corners (top, left), (top, right), (bottom, left), (bottom, right). Corners outside
    // the map are rows of `otherwise`, `spacing` elements apart.
    template <class T>
    void rows(int64_t tap, T *map, T *otherwise, int64_t spacing, T *(&corners)[4]) const {
        const int64_t below = problem.width * problem.channels, beside = problem.channels;
        const int64_t row = top[tap], column = left[tap];
        if (interior[tap]) {
            corners[0] = map + row * below + column * beside, corners[1] = corners[0] + beside;
            corners[2] = corners[0] + below, corners[3] = corners[2] + beside;
            return;
        }
        for (int corner = 0; corner < 4; ++corner) {
            const int64_t y = row + (corner >> 1), x = column + (corner & 1);
            const bool valid = inside(tap) && y >= 0 && y < problem.height && x >= 0 && x < problem.width;
            corners[corner] = valid ? map + y * below + x * beside : otherwise + corner * spacing;
        }
    }

private:
    static Wholes floor(const Values &value) {
        const Wholes towards_zero = __builtin_convertvector(value, Wholes);
        return towards_zero + (__builtin_convertvector(towards_zero, Values) > value);  // true is -1
    }
};

template <class Real>
void softmax(Real *values, int64_t count) {
    Real largest = values[0], sum = 0;
    for (int64_t i = 1; i < count; ++i) largest = values[i] > largest ? values[i] : largest;
    for (int64_t i = 0; i < count; ++i) sum += values[i] = std::exp(values[i] - largest);
    for (int64_t i = 0; i < count; ++i) values[i] /= sum;
}
