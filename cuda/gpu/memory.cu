// The SIFA operator's gradient of memory on GPUs. Symbols: see common.cuh; tiles and groups: see tiles.cuh.
//
// Each block owns some channels of one tile of cells. It goes through all points that reach the tile, in order, and adds
// up in shared memory what they leave there: nothing is atomic, the result has the same bits every time, and it is
// written once. A thread owns OWNED neighbouring channels, so threads need not wait for each other while they add.

#include "tiles.cuh"

namespace {

constexpr int OWNED = VECTOR >= 4 && CHANNELS >= 128 ? 4 : VECTOR >= 2 && CHANNELS >= 64 ? 2 : 1;
constexpr int CELLS = TILE_ROWS * TILE_COLUMNS;
constexpr int OWNERS = (CHANNELS + OWNED - 1) / OWNED > 32 && OWNED < 4 ? 64 : 32;  // threads of a block
constexpr int SLICE = OWNERS * OWNED, SLICES = (CHANNELS + SLICE - 1) / SLICE;

// What one point leaves in the tile: at its corners, coefficient * (weight * gradient + logit * query).
struct alignas(16) Share {
    float coefficient[4];  // zero outside the tile
    int sums;              // of the first corner, which may lie outside: number of its first thread's sums
    int place;             // within the image
    float weight, logit;
};

struct alignas(sizeof(Store) * OWNED) Owned {
    Store value[OWNED];
};

struct alignas(sizeof(float) * OWNED) Sums {
    float value[OWNED];
};

}  // namespace

extern "C" __global__ void __launch_bounds__(OWNERS)
    sifa_gradient_of_memory(Problem problem, const Store *query, const Offset *offset, const Store *grad,
                            const Store *weights, const float *grad_logits, const unsigned char *reached,
                            Store *grad_memory) {
    __shared__ Sums sums[CELLS * OWNERS];
    __shared__ Share shares[OWNERS];
    __shared__ unsigned touching[OWNERS / 32];  // one bit per share
    const Tiles tiles(problem);
    const int thread = (int)threadIdx.x, places = problem.height * problem.width;
    const int slice = (int)(blockIdx.x % SLICES), tile = (int)(blockIdx.x / SLICES % (unsigned)(tiles.across * tiles.down));
    const int image = (int)(blockIdx.x / SLICES / (unsigned)(tiles.across * tiles.down));
    const int top = tile / tiles.across * TILE_ROWS, left = tile % tiles.across * TILE_COLUMNS;
    const int channel = slice * SLICE + thread * OWNED;
    const bool owns = channel < CHANNELS;
    query += image * problem.query_stride + channel;
    offset += image * problem.offset_stride;
    grad += (Index)image * places * CHANNELS + channel;
    weights += (Index)image * places * K;
    grad_logits += (Index)image * places * K;
    reached += tiles.flags(image, tile / tiles.across, tile % tiles.across);
    for (int cell = 0; cell < CELLS; ++cell) sums[cell * OWNERS + thread] = Sums{};

    Sums *const mine = sums + thread;
    float q[OWNED] = {}, d[OWNED] = {};
    int known = -1;  // the place whose numbers these are
    // Members: 32 places of a group; `first` is the turn of the first of them.
    for (int first = 0; first < places; first += 32) {
        if (!reached[first / tiles.group]) continue;
        int its_row, its_column;  // of the member that has this lane's number
        locate(problem, min(first + thread % 32, places - 1), its_row, its_column);
#pragma unroll 1
        for (int start = 0; start < 32 * K; start += OWNERS) {
            const int member = (start + thread) / K, tap = (start + thread) % K;
            const int row = __shfl_sync(0xffffffffu, its_row, member % 32);
            const int column = __shfl_sync(0xffffffffu, its_column, member % 32);
            bool touches = false;
            if (member < 32 && first + member < places) {
                const int place = row * problem.width + column;
                const Index number = (Index)place * K + tap;
                const Spot spot(problem, row, column, tap, load(offset[2 * number]), load(offset[2 * number + 1]));
                Share &share = shares[thread];
                share.sums = ((spot.first_row - top) * TILE_COLUMNS + spot.first_column - left) * OWNERS;
#pragma unroll
                for (int corner = 0; corner < 4; ++corner) {
                    const int y = spot.first_row + corner / 2 - top, x = spot.first_column + corner % 2 - left;
                    const bool within = y >= 0 && y < TILE_ROWS && x >= 0 && x < TILE_COLUMNS;
                    share.coefficient[corner] = within ? spot.down[corner / 2] * spot.right[corner % 2] : 0;
                    touches |= share.coefficient[corner] != 0;
                }
                if (touches) share.place = place, share.weight = load(weights[number]), share.logit = grad_logits[number];
            }
            const unsigned bits = __ballot_sync(0xffffffffu, touches);
            if (thread % 32 == 0) touching[thread / 32] = bits;
            __syncthreads();
            for (int word = 0; word < OWNERS / 32; ++word)
                for (unsigned left_over = touching[word]; left_over; left_over &= left_over - 1) {
                    const Share share = shares[word * 32 + __ffs((int)left_over) - 1];
                    if (share.place != known && owns) {
                        known = share.place;
                        const Owned of_query = *reinterpret_cast<const Owned *>(query + (Index)known * CHANNELS);
                        const Owned of_grad = *reinterpret_cast<const Owned *>(grad + (Index)known * CHANNELS);
#pragma unroll
                        for (int v = 0; v < OWNED; ++v) q[v] = load(of_query.value[v]), d[v] = load(of_grad.value[v]);
                    }
                    float gradient[OWNED];
#pragma unroll
                    for (int v = 0; v < OWNED; ++v) gradient[v] = share.weight * d[v] + share.logit * q[v];
#pragma unroll
                    for (int corner = 0; corner < 4; ++corner)
                        if (share.coefficient[corner] != 0) {
                            Sums &sum = mine[share.sums + (corner / 2 * TILE_COLUMNS + corner % 2) * OWNERS];
#pragma unroll
                            for (int v = 0; v < OWNED; ++v) sum.value[v] += share.coefficient[corner] * gradient[v];
                        }
                }
            __syncthreads();
        }
    }
    for (int cell = 0; cell < CELLS && owns; ++cell) {
        const int row = top + cell / TILE_COLUMNS, column = left + cell % TILE_COLUMNS;
        if (row >= problem.height || column >= problem.width) continue;
        Owned result;
#pragma unroll
        for (int v = 0; v < OWNED; ++v) narrow(sums[cell * OWNERS + thread].value[v], result.value[v]);
        const Index number = ((Index)image * places + row * problem.width + column) * CHANNELS + channel;
        *reinterpret_cast<Owned *>(grad_memory + number) = result;
    }
}
