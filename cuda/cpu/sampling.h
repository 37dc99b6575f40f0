// Where the CPU kernels read: the problem's sizes, the sampling points and the rows of channels at their corners.
//
// n image, y row, x column, c channel, i tap; C channels, K taps, P = height*width places.

#pragma once

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>

struct Problem {
    int64_t images, channels, height, width;
    int64_t kernel, softmax, threads;
    // Distances between images, in elements, so that slices of a batch need no copy.
    int64_t query_stride, memory_stride, offset_stride;
    double factor;

    int64_t places() const { return height * width; }
    int64_t taps() const { return kernel * kernel; }
};

// What stands still while a thread works through its places: the grid of taps, and rows for corners outside the map.
template <class Real, class Store>
struct Workspace {
    Real *numbers;      // scratch; its parts are named where they are used
    Store *zeros;       // a row of C zeros: what a corner outside the map reads
    Real *tap_y, *tap_x;

    Workspace(const Problem &problem, int64_t count)
        : numbers(allocate<Real>(count)),
          zeros(allocate<Store>(problem.channels)),
          tap_y(allocate<Real>(problem.taps())),
          tap_x(allocate<Real>(problem.taps())) {
        if (!ready()) return;
        std::memset(static_cast<void *>(zeros), 0, size_t(problem.channels) * sizeof(Store));
        for (int64_t i = 0; i < problem.taps(); ++i) {
            tap_y[i] = Real(i / problem.kernel - problem.kernel / 2);
            tap_x[i] = Real(i % problem.kernel - problem.kernel / 2);
        }
    }
    Workspace(const Workspace &) = delete;
    ~Workspace() { std::free(numbers), std::free(zeros), std::free(tap_y), std::free(tap_x); }

    bool ready() const { return numbers && zeros && tap_y && tap_x; }

    // On cache lines of its own: a vector that straddles two lines costs twice.
    template <class T>
    static T *allocate(int64_t count) {
        const size_t lines = (size_t(count) * sizeof(T) + 63) / 64;
        return static_cast<T *>(std::aligned_alloc(64, lines * 64));
    }
};

// Where one sampling point lies: the cell to its upper left and how far it is from there.
template <class Real>
struct Point {
    int64_t top, left;
    Real down, right;  // 0..1
    bool inside;       // false: a whole cell or more outside the map, or not a number
    bool interior;     // all four corners lie on the map

    Point(const Problem &problem, Real y, Real x) {
        // Comparisons with NaN are false: NaN is outside, and only numbers within the map become integers. Single
        // ampersands, because a jump for each of the four costs more than all four comparisons.
        inside = (y >= -1) & (y < Real(problem.height)) & (x >= -1) & (x < Real(problem.width));
        if (!inside) return;
        const Real floor_y = std::floor(y), floor_x = std::floor(x);
        top = int64_t(floor_y), left = int64_t(floor_x);
        down = y - floor_y, right = x - floor_x;
        interior = (uint64_t(top) < uint64_t(problem.height - 1)) & (uint64_t(left) < uint64_t(problem.width - 1));
    }

    Real weight(int corner) const { return (corner >> 1 ? down : 1 - down) * (corner & 1 ? right : 1 - right); }
};

// The rows of C channels at a point's corners: (top, left), (top, right), (bottom, left), (bottom, right). Corners
// outside the map are rows of `otherwise`, `spacing` elements apart.
template <class T>
struct Rows {
    T *row[4];

    template <class Real>
    Rows(const Problem &problem, const Point<Real> &point, T *map, T *otherwise, int64_t spacing) {
        const int64_t down = problem.width * problem.channels, right = problem.channels;
        const int64_t start = point.top * down + point.left * right;
        if (point.interior) {
            row[0] = map + start, row[1] = row[0] + right, row[2] = row[0] + down, row[3] = row[2] + right;
            return;
        }
        for (int corner = 0; corner < 4; ++corner) {
            const int64_t y = point.top + (corner >> 1), x = point.left + (corner & 1);
            const bool valid = y >= 0 && y < problem.height && x >= 0 && x < problem.width;
            row[corner] = valid ? map + y * down + x * right : otherwise + corner * spacing;
        }
    }
};

template <class Real>
void softmax(Real *values, int64_t count) {
    Real largest = values[0], sum = 0;
    for (int64_t i = 1; i < count; ++i) largest = values[i] > largest ? values[i] : largest;
    for (int64_t i = 0; i < count; ++i) sum += values[i] = std::exp(values[i] - largest);
    for (int64_t i = 0; i < count; ++i) values[i] /= sum;
}
