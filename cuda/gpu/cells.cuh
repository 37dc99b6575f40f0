// The four cells around a sampling point, and what is computed from them: the sample and its slopes.
//
// Numbers: in each lane's registers. 16-bit numbers: on the tensor cores, which multiply a matrix of cells by a matrix
// of coefficients. Octet o (lanes o, o+4, ...) owns columns 2o and 2o+1 of the result and rows 2o, 2o+1, 2o+8 and 2o+9
// of the coefficients, its four corners; all other coefficients in its columns are zero. One product so blends two
// channels of every lane, twice: with the coefficients and with what their rounding left over.

#pragma once

#include "points.cuh"

namespace {

#if SIFA_PAIRS

class Cells {
    unsigned pairs[NUMBERS / 2][4];  // of two channels: the upper corners' first, second; the lower corners' first, second

    struct alignas(sizeof(Store) * VECTOR) Words {
        unsigned word[VECTOR / 2];
    };

    // This lane's part of the coefficients, nothing for other octets' columns.
    static __device__ void pick(const Here &here, const unsigned (&from)[2], unsigned (&to)[2]) {
        const bool mine = here.lane / 8 == here.lane % 4;
        to[0] = mine ? from[0] : 0, to[1] = mine ? from[1] : 0;
    }

  public:
    __device__ Cells(const Here &here, const Store *memory, const Point &point) {
#pragma unroll
        for (int j = 0; j < CHUNKS; ++j) {
            Words words[4] = {};
#pragma unroll
            for (int corner = 0; corner < 4; ++corner)
                if (here.holds(j))
                    words[corner] = *reinterpret_cast<const Words *>(memory + point.cell[corner] + j * STEP);
#pragma unroll
            for (int h = 0; h < VECTOR / 2; ++h)
#pragma unroll
                for (int f = 0; f < 4; ++f)
                    pairs[j * VECTOR / 2 + h][f] =
                        pick_bytes(words[f / 2 * 2].word[h], words[f / 2 * 2 + 1].word[h], f % 2 ? 0x7632 : 0x5410);
        }
    }

    __device__ void blend(const Here &here, const Point &point, float (&sample)[NUMBERS]) const {
        unsigned coefficients[2];
        pick(here, point.value.pair[here.lane / 4 % 2], coefficients);
#pragma unroll
        for (int h = 0; h < NUMBERS / 2; ++h) {
            const Product sum = multiply_matrices<SIFA_STORAGE == 2>(pairs[h], coefficients, Product{});
            sample[2 * h] = sum.of[0] + sum.of[1], sample[2 * h + 1] = sum.of[2] + sum.of[3];
        }
    }

    // Adds this lane's part of the products of `numbers` with the sample's derivatives.
    __device__ void slopes(const Here &here, const SlopingPoint &point, const float (&numbers)[NUMBERS], float &along_y,
                           float &along_x) const {
        const Coefficients &mine = here.lane / 4 % 2 ? point.along_x : point.along_y;
        unsigned coefficients[2], rest[2];
        pick(here, mine.pair[0], coefficients), pick(here, mine.pair[1], rest);
#pragma unroll
        for (int h = 0; h < NUMBERS / 2; ++h) {
            const Product first = multiply_matrices<SIFA_STORAGE == 2>(pairs[h], rest, Product{});
            const Product sum = multiply_matrices<SIFA_STORAGE == 2>(pairs[h], coefficients, first);
            along_y += numbers[2 * h] * sum.of[0] + numbers[2 * h + 1] * sum.of[2];
            along_x += numbers[2 * h] * sum.of[1] + numbers[2 * h + 1] * sum.of[3];
        }
    }
};

#else

class Cells {
    float numbers[4][NUMBERS];

  public:
    __device__ Cells(const Here &here, const Store *memory, const Point &point) {
#pragma unroll
        for (int corner = 0; corner < 4; ++corner) here.read(memory + point.cell[corner], numbers[corner]);
    }

    __device__ void blend(const Here &, const Point &point, float (&sample)[NUMBERS]) const {
#pragma unroll
        for (int h = 0; h < NUMBERS; ++h) {
            sample[h] = point.value.number[0] * numbers[0][h];
#pragma unroll
            for (int corner = 1; corner < 4; ++corner) sample[h] += point.value.number[corner] * numbers[corner][h];
        }
    }

    // Adds this lane's part of the products of `r` with the sample's derivatives.
    __device__ void slopes(const Here &, const SlopingPoint &point, const float (&r)[NUMBERS], float &along_y,
                           float &along_x) const {
#pragma unroll
        for (int corner = 0; corner < 4; ++corner) {
            const float product = dot_product(r, numbers[corner]);
            along_y += point.along_y.number[corner] * product;
            along_x += point.along_x.number[corner] * product;
        }
    }
};

#endif

}  // namespace
