// Products over all steps at once, made of the loop's own tiles.
#pragma once
#include "tiles.h"

namespace {

constexpr long SLAB = 32;         // tiles of a left factor that meet a panel while it is in cache
constexpr long SUMMED = 384;      // rows of both factors whose sum is taken at once, so that their pieces stay in cache
constexpr long LEFT_COLUMNS = 96; // columns of the left factor that are packed at once

constexpr long ACROSS = std::min(WIDEST, blocks_of(1));  // vectors of a tile's row: a chunk of a panel of one gate

// C[rows][units] = start + A[rows][depth] * packed, panels of one gate.
void multiply(const REAL *A, long lda, long rows, const REAL *packed, long depth, long units, REAL *C, long ldc) {
    constexpr long N = ACROSS, span = N * W, most = tile_rows(N), slab = SLAB * most;
    const long panel_size = chunk_size(depth, N, 0);
    alignas(64) REAL buffer[most * span];
    for (long r0 = 0; r0 < rows; r0 += slab) {
        const long here = std::min(slab, rows - r0), parts = (here + most - 1) / most;
        const REAL *panel = packed;
        for (long u = 0; u < units; u += span, panel += panel_size) {
            const long width = std::min(span, units - u);
            for (long part = 0, r = r0; part < parts; part++) {
                const long n = here / parts + (part < here % parts);
                const Tile tile = find_tile(N, n).plain;
                for (long i = 0; i < n; i++)
                    for (long j = 0; j < width; j += 64 / sizeof(REAL)) __builtin_prefetch(C + (r + i) * ldc + u + j, 1);
                if (width == span) {
                    tile(A + r * lda, lda, panel + span, panel, depth, C + r * ldc + u, ldc);
                } else {
                    tile(A + r * lda, lda, panel + span, panel, depth, buffer, span);
                    for (long i = 0; i < n; i++) memcpy(C + (r + i) * ldc + u, buffer + i * span, width * sizeof(REAL));
                }
                r += n;
            }
        }
    }
}

// C[R][N vectors] (+)= A[K][R] transposed * B[K][N vectors], both packed.
template <long R, long N> void sum_tile(const REAL *A, const REAL *B, long K, REAL *C, long ldc, bool add) {
    V sum[R][N];
    for (long r = 0; r < R; r++)
        for (long j = 0; j < N; j++) sum[r][j] = add ? load(C + r * ldc + j * W) : V{};
    for (long k = 0; k < K; k++) {
        V b[N];
#pragma GCC unroll 8
        for (long j = 0; j < N; j++) b[j] = load(B + (k * N + j) * W);
#pragma GCC unroll 16
        for (long r = 0; r < R; r++) {
            REAL a = A[k * R + r];
#pragma GCC unroll 8
            for (long j = 0; j < N; j++) sum[r][j] += a * b[j];
        }
    }
    for (long r = 0; r < R; r++)
        for (long j = 0; j < N; j++) store(C + r * ldc + j * W, sum[r][j]);
}

// Brings a matrix near while something else is computed, a few rows at each of `times` calls.
struct Fetch {
    const REAL *at;
    long stride, columns, left, each;
    Fetch(const REAL *at, long stride, long rows, long columns, long times)
        : at(at), stride(stride), columns(columns), left(rows), each((rows + times - 1) / times) {}
    void some() {
        for (long k = 0; k < each && left > 0; k++, left--, at += stride)
            for (long i = 0; i < columns; i += 64 / sizeof(REAL)) __builtin_prefetch(at + i, 0, 2);
    }
};

// Entries that `sum_of_rows` needs for itself.
long summing_room(long columns) {
    constexpr long span = ACROSS * W;
    return SUMMED * ((columns + span - 1) / span * span + LEFT_COLUMNS) + tile_rows(ACROSS) * span;
}

// C[rows][columns] = A[K][rows] transposed * B[K][columns]: the sum of the outer products of their K rows.
void sum_of_rows(const REAL *A, long lda, const REAL *B, long ldb, long K, long rows, long columns, REAL *C, long ldc,
                 REAL *room) {
    constexpr long N = ACROSS, R = tile_rows(N), span = N * W;
    const long panels = (columns + span - 1) / span;
    REAL *right = room, *left = right + SUMMED * panels * span, *buffer = left + SUMMED * LEFT_COLUMNS;
    for (long k0 = 0; k0 < K; k0 += SUMMED) {
        const long depth = std::min(SUMMED, K - k0), next = std::min(SUMMED, K - k0 - depth);
        Fetch below(B + (k0 + depth) * ldb, ldb, next, columns, (rows + R - 1) / R * panels);
        for (long p = 0; p < panels; p++) {
            const long width = std::min(span, columns - p * span);
            for (long k = 0; k < depth; k++) {
                REAL *to = right + (p * depth + k) * span;
                memcpy(to, B + (k0 + k) * ldb + p * span, width * sizeof(REAL));
                for (long i = width; i < span; i++) to[i] = 0;
            }
        }
        for (long m0 = 0; m0 < rows; m0 += LEFT_COLUMNS) {
            const long here = std::min(LEFT_COLUMNS, rows - m0);
            const long whole = here / R * R;
            for (long k = 0; k < depth; k++) {
                const REAL *from = A + (k0 + k) * lda + m0;
                for (long m = 0; m < whole; m += R) memcpy(left + m * depth + k * R, from + m, R * sizeof(REAL));
                for (long r = 0; whole < here && r < R; r++)
                    left[whole * depth + k * R + r] = whole + r < here ? from[whole + r] : 0;
            }
            const bool more = m0 + here < rows;
            Fetch beside(more ? A + k0 * lda + m0 + here : A + (k0 + depth) * lda, lda, more ? depth : next,
                         std::min(LEFT_COLUMNS, more ? rows - m0 - here : rows), (here + R - 1) / R * panels);
            for (long p = 0; p < panels; p++) {
                const long width = std::min(span, columns - p * span);
                for (long m = 0; m < here; m += R) {
                    const long n = std::min(R, here - m);
                    REAL *to = C + (m0 + m) * ldc + p * span;
                    const REAL *l = left + m * depth, *r = right + p * depth * span;
                    below.some();
                    beside.some();
                    if (n == R && width == span) {
                        sum_tile<R, N>(l, r, depth, to, ldc, k0 > 0);
                        continue;
                    }
                    sum_tile<R, N>(l, r, depth, buffer, span, false);
                    for (long i = 0; i < n; i++)
                        for (long j = 0; j < width; j++)
                            to[i * ldc + j] = buffer[i * span + j] + (k0 > 0 ? to[i * ldc + j] : 0);
                }
            }
        }
    }
}

}  // namespace
