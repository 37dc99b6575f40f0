// How the gradient of memory is shared out: tiles of cells, each with the groups of places that have a point in it.
//
// A group is `group` places that are worked on one after the other (see locate in common.cuh). `reached` has one byte per
// image, tile and group. sifa_backward sets it, sifa_gradient_of_memory reads it.

#pragma once

#include "points.cuh"

namespace {

constexpr int TILE_ROWS = SIFA_ROWS, TILE_COLUMNS = 7;

struct Tiles {
    int across, down, groups, group;  // of one image

    __device__ explicit Tiles(const Problem &problem)
        : across((problem.width + TILE_COLUMNS - 1) / TILE_COLUMNS),
          down((problem.height + TILE_ROWS - 1) / TILE_ROWS),
          groups((problem.height * problem.width + problem.group - 1) / problem.group),
          group(problem.group) {}

    // The flags of a tile.
    __device__ Index flags(int image, int tile_row, int tile_column) const {
        return (((Index)image * down + tile_row) * across + tile_column) * groups;
    }

    // Sets the flag of the group of place number `turn` for every tile that holds a corner of its point.
    __device__ void mark(unsigned char *reached, int image, int turn, const Spot &spot) const {
        if (!spot.inside) return;
        const int top = spot.row[0] / TILE_ROWS, bottom = spot.row[1] / TILE_ROWS;
        const int left = spot.column[0] / TILE_COLUMNS, right = spot.column[1] / TILE_COLUMNS;
        for (int row = top; row <= bottom; ++row)
            for (int column = left; column <= right; ++column) raise(reached + flags(image, row, column) + turn / group);
    }
};

}  // namespace
