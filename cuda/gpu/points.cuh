// Where sampling points lie: computed once per place and tap, then read from shared memory by all lanes of the place.
//
// A point has four corners: (top, left), (top, right), (bottom, left), (bottom, right). A corner outside the map, and
// every corner of a point that is not a number or a whole cell outside, has coefficient zero and an address inside.

#pragma once

#include "common.cuh"

namespace {

// A sampling point as geometry: the cells around it and what each row and column of them counts.
struct Spot {
    int first_row, first_column;  // of the upper left corner; -1 is outside
    int row[2], column[2];        // moved inside
    float down[2], right[2];              // coefficients of the two rows and the two columns
    float down_slope[2], right_slope[2];  // their derivatives
    bool inside;

    __device__ Spot(const Problem &problem, int at_row, int at_column, int tap, float dy, float dx) {
        const float y = (float)(at_row + tap / KERNEL - KERNEL / 2) + dy;
        const float x = (float)(at_column + tap % KERNEL - KERNEL / 2) + dx;
        // Comparisons with NaN are false: NaN is outside, and only numbers within the map become integers.
        inside = y >= -1 && y < (float)problem.height && x >= -1 && x < (float)problem.width;
        first_row = along(inside ? y : -2.0f, problem.height, row, down, down_slope);
        first_column = along(inside ? x : -2.0f, problem.width, column, right, right_slope);
    }

    __device__ static int along(float at, int size, int (&cell)[2], float (&part)[2], float (&slope)[2]) {
        const int first = (int)floorf(at);
        const float fraction = at - (float)first;
        const bool begins = first >= 0, ends = first >= -1 && first + 1 < size;
        part[0] = begins ? 1 - fraction : 0;
        part[1] = ends ? fraction : 0;
        slope[0] = begins ? -1 : 0;
        slope[1] = ends ? 1 : 0;
        cell[0] = max(first, 0);
        cell[1] = max(min(first + 1, size - 1), 0);
        return first;
    }
};

// Four coefficients, one per corner, as the arithmetic wants them. For the tensor cores each is split into a 16-bit
// number and a 16-bit rest, so that as good as nothing of float's precision is lost.
struct alignas(16) Coefficients {
#if SIFA_PAIRS
    unsigned pair[2][2];  // [number or rest][upper or lower corners]
#else
    float number[4];
#endif

    __device__ void set(const float (&down)[2], const float (&right)[2]) {
#pragma unroll
        for (int row = 0; row < 2; ++row) {
            const float left = down[row] * right[0], beside = down[row] * right[1];
#if SIFA_PAIRS
            const unsigned first = join<SIFA_STORAGE == 2>(left, beside);
            pair[0][row] = first;
            pair[1][row] = join<SIFA_STORAGE == 2>(left - lower(first), beside - upper(first));
#else
            number[2 * row] = left, number[2 * row + 1] = beside;
#endif
        }
    }
};

struct Point {
    alignas(sizeof(Index) * 4) Index cell[4];  // number of the corner's first channel within its image
    Coefficients value;

    __device__ void set(const Problem &problem, const Spot &spot) {
#pragma unroll
        for (int corner = 0; corner < 4; ++corner)
            cell[corner] = ((Index)spot.row[corner / 2] * problem.width + spot.column[corner % 2]) * CHANNELS;
        value.set(spot.down, spot.right);
    }
};

// With the derivatives along y and x.
struct SlopingPoint : Point {
    Coefficients along_y, along_x;

    __device__ void set(const Problem &problem, const Spot &spot) {
        Point::set(problem, spot);
        along_y.set(spot.down_slope, spot.right);
        along_x.set(spot.down, spot.right_slope);
    }
};

// Fills in the points of a warp's places from tap `first` on; `visit(image, turn, spot)` sees each of them.
template <class AnyPoint, class Visit>
__device__ void find_points(const Problem &problem, const Here &here, const Offset *offset, int first,
                            AnyPoint (&points)[PLACES][TAPS], const Visit &visit) {
    __syncwarp();  // the points that were here before have been read
#pragma unroll
    for (int start = 0; start < PLACES * TAPS; start += 32) {
        const int number = start + here.lane, slot = min(number / TAPS, PLACES - 1), tap = first + number % TAPS;
        const int owner = slot * OCTETS;  // a lane of that place
        const int image = __shfl_sync(0xffffffffu, here.image, owner), row = __shfl_sync(0xffffffffu, here.row, owner);
        const int column = __shfl_sync(0xffffffffu, here.column, owner);
        const int turn = __shfl_sync(0xffffffffu, here.turn, owner);
        if (number >= PLACES * TAPS) break;
        const Offset *mine = offset + image * problem.offset_stride;
        mine += (((Index)row * problem.width + column) * K + tap) * 2;
        const Spot spot(problem, row, column, tap, load(mine[0]), load(mine[1]));
        points[slot][number % TAPS].set(problem, spot);
        visit(image, turn, spot);
    }
    __syncwarp();
}

}  // namespace
