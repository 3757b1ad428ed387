// Products of packed matrices, tile by tile: a few rows of the left factor times a few vectors of a panel.
#pragma once
#include "vec.h"
#include <algorithm>

namespace {

constexpr long WIDEST = WIDTH == 32 ? 2 : 6;  // vectors of a tile's row
constexpr long MOST_ROWS = 12;    // rows of a tile
constexpr long MOST_VECTORS = 48; // of all gates in a tile's row

// Rows of a tile of `n` vectors a row: as many as leave registers for the factors. AVX2 has half as many registers as
// AVX-512 of half the length: tiles of two vectors fetch least for what they compute.
constexpr long tile_rows(long n) {
#if WIDTH == 64
    return n <= 2 ? 12 : n == 3 ? 8 : n == 4 ? 6 : n == 5 ? 5 : 4;
#elif WIDTH == 32
    return 6;
#else
    return n <= 2 ? 5 : n == 3 ? 4 : n == 4 ? 3 : 2;
#endif
}

// bfloat16: the upper half of a float, rounded to the nearest, ties to even; no number stays none.
inline float wide(uint16_t low) {
    const uint32_t bits = (uint32_t)low << 16;
    float out;
    memcpy(&out, &bits, 4);
    return out;
}

inline uint16_t narrow(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    if (x != x) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

void narrow_row(const REAL *from, long n, uint16_t *to) {
    long k = 0;
#if defined(__AVX512BF16__) && WIDTH == 64
    if constexpr (SINGLE)
        for (; k + 16 <= n; k += 16)
            _mm256_storeu_si256((__m256i *)(to + k), (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps((const float *)from + k)));
#endif
    for (; k < n; k++) to[k] = narrow(from[k]);
}

// Unit blocks of a panel: few gates share a tile with several blocks of units; blocks of short vectors come in pairs.
constexpr long blocks_of(long gates) {
    return gates == 1 ? 4 : gates == 2 || (WIDTH == 32 && 2 * gates <= MOST_VECTORS) ? 2 : 1;
}

// C[R][n vectors] = start + A[R][K] * panel[K][n vectors]
template <long R, long N>
void tile(const REAL *A, long lda, const REAL *panel, const REAL *start, long K, REAL *C, long ldc) {
    V sum[R][N];
    for (long j = 0; j < N; j++) {
        V s = load(start + j * W);
        for (long r = 0; r < R; r++) sum[r][j] = s;
    }
    for (long k = 0; k < K; k++) {
        V b[N];
#pragma GCC unroll 8
        for (long j = 0; j < N; j++) b[j] = load(panel + (k * N + j) * W);
#pragma GCC unroll 16
        for (long r = 0; r < R; r++) {
            REAL a = A[r * lda + k];
#pragma GCC unroll 8
            for (long j = 0; j < N; j++) sum[r][j] += a * b[j];
        }
    }
    for (long r = 0; r < R; r++)
        for (long j = 0; j < N; j++) store(C + r * ldc + j * W, sum[r][j]);
}

// The same with factors of bfloat16, two depths at a time: A[R][K], panel[K / 2][N vectors][W units][2]; sums are float.
template <long R, long N>
void tile_low(const uint16_t *A, long lda, const uint16_t *panel, const REAL *start, long K, REAL *C, long ldc) {
#if defined(__AVX512BF16__) && WIDTH == 64
    if constexpr (SINGLE) {
        __m512 sum[R][N];
        for (long j = 0; j < N; j++)
            for (long r = 0; r < R; r++) sum[r][j] = _mm512_loadu_ps((const float *)start + j * W);
        for (long k = 0; k < K; k += 2) {
            __m512bh b[N];
#pragma GCC unroll 8
            for (long j = 0; j < N; j++) b[j] = (__m512bh)_mm512_loadu_si512(panel + (k * N + 2 * j) * W);
#pragma GCC unroll 16
            for (long r = 0; r < R; r++) {
                int32_t pair;
                memcpy(&pair, A + r * lda + k, 4);
                const __m512bh a = (__m512bh)_mm512_set1_epi32(pair);
#pragma GCC unroll 8
                for (long j = 0; j < N; j++) sum[r][j] = _mm512_dpbf16_ps(sum[r][j], a, b[j]);
            }
        }
        for (long r = 0; r < R; r++)
            for (long j = 0; j < N; j++) _mm512_storeu_ps((float *)C + r * ldc + j * W, sum[r][j]);
        return;
    }
#endif
    for (long r = 0; r < R; r++)
        for (long j = 0; j < N * W; j++) {
            float sum = start[j];
            for (long k = 0; k < K; k++) sum += wide(A[r * lda + k]) * wide(panel[(k / 2 * N * W + j) * 2 + k % 2]);
            C[r * ldc + j] = sum;
        }
}

// The same with integers of eight bits, four depths at a time: A[R][K] unsigned, 128 for zero, panel[K / 4][N vectors]
// [W units][4] signed; `head` holds start, scales of the weights and 128 times their sums, scale[R] that of A's rows.
template <long R, long N>
void tile_integer(const uint8_t *A, long lda, const int8_t *panel, const REAL *head, const float *scale, long K, REAL *C,
                  long ldc) {
    const REAL *start = head, *weights = head + N * W;
    const int32_t *correction = (const int32_t *)(head + 2 * N * W);
#if defined(__AVX512VNNI__) && WIDTH == 64
    if constexpr (SINGLE) {
        __m512i sum[R][N] = {};
        for (long k = 0; k < K; k += 4) {
            __m512i b[N];
#pragma GCC unroll 8
            for (long j = 0; j < N; j++) b[j] = _mm512_loadu_si512(panel + (k * N + 4 * j) * W);
#pragma GCC unroll 16
            for (long r = 0; r < R; r++) {
                int32_t four;
                memcpy(&four, A + r * lda + k, 4);
                const __m512i a = _mm512_set1_epi32(four);
#pragma GCC unroll 8
                for (long j = 0; j < N; j++) sum[r][j] = _mm512_dpbusd_epi32(sum[r][j], a, b[j]);
            }
        }
        for (long r = 0; r < R; r++)
            for (long j = 0; j < N; j++) {
                const __m512 whole =
                    _mm512_cvtepi32_ps(_mm512_sub_epi32(sum[r][j], _mm512_loadu_si512(correction + j * W)));
                const __m512 factor = _mm512_mul_ps(_mm512_loadu_ps((const float *)weights + j * W), _mm512_set1_ps(scale[r]));
                _mm512_storeu_ps((float *)C + r * ldc + j * W,
                                 _mm512_fmadd_ps(whole, factor, _mm512_loadu_ps((const float *)start + j * W)));
            }
        return;
    }
#endif
    for (long r = 0; r < R; r++)
        for (long j = 0; j < N * W; j++) {
            int32_t sum = -correction[j];
            for (long k = 0; k < K; k++) sum += A[r * lda + k] * panel[(k / 4 * N * W + j) * 4 + k % 4];
            C[r * ldc + j] = start[j] + sum * (weights[j] * scale[r]);
        }
}

// A row as unsigned integers of eight bits, 128 for zero; gives the scale.
float quantise(const REAL *from, long n, uint8_t *to) {
    REAL most = 0;
    for (long k = 0; k < n; k++) most = std::max(most, std::fabs(from[k]));
    const float scale = most > 0 ? (float)most / 127 : 1;
    const float factor = 1 / scale;
    for (long k = 0; k < n; k++) to[k] = (uint8_t)(int)(from[k] * factor + (REAL)128.5);
    return scale;
}

typedef void (*Tile)(const REAL *, long, const REAL *, const REAL *, long, REAL *, long);
typedef void (*TileInteger)(const uint8_t *, long, const int8_t *, const REAL *, const float *, long, REAL *, long);
typedef void (*TileLow)(const uint16_t *, long, const uint16_t *, const REAL *, long, REAL *, long);
struct Tiles {
    Tile plain;
    TileLow low;
    TileInteger integer;
};

template <long N> Tiles tile_of(long R) {
    switch (R) {
#define CASE(r) \
    case r:     \
        if constexpr (N <= WIDEST && r <= tile_rows(N)) return {tile<r, N>, tile_low<r, N>, tile_integer<r, N>};
        CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
#undef CASE
    }
    return {};
}

Tiles find_tile(long N, long R) {
    switch (N) {
        case 1: return tile_of<1>(R);
        case 2: return tile_of<2>(R);
        case 3: return tile_of<3>(R);
        case 4: return tile_of<4>(R);
        case 5: return tile_of<5>(R);
        case 6: return tile_of<6>(R);
    }
    return {};
}

// A panel's vectors are computed in chunks of at most WIDEST, as equal as can be.
struct Chunks {
    long count, first, larger;  // the first `larger` chunks have first + 1 vectors
    explicit Chunks(long vectors) {
        count = (vectors + WIDEST - 1) / WIDEST;
        if (WIDEST > 4 && vectors > 4 && vectors % 4 == 0) count = vectors / 4;
        first = vectors / count;
        larger = vectors % count;
    }
    long size(long k) const { return first + (k < larger); }
};

// Panels hold, for each chunk, its start [N * W] and then the depths, filled up with zeros: two of bfloat16 or four
// integers to a float's place; integers have their scales and corrections behind the start.
long chunk_size(long depth, long N, long low) {
    return (low == 2 ? 3 + (depth + 3) / 4 : low == 1 ? 1 + (depth + 1) / 2 : 1 + depth) * N * W;
}

// The matrix of a product as panels. Result g, unit u, depth k is matrix[(g * units + u) * row + k * column]; start is
// the bias [gates * units] or null.
void pack(const REAL *matrix, long row, long column, const REAL *bias, long depth, long gates, long units, long low,
          REAL *out) {
    const long blocks = blocks_of(gates), span = blocks * W;
    const Chunks chunks(gates * blocks);
    for (long u0 = 0; u0 < units; u0 += span)
        for (long c = 0, v0 = 0; c < chunks.count; v0 += chunks.size(c), c++) {
            const long N = chunks.size(c);
            for (long j = 0; j < N; j++) {
                const long g = (v0 + j) / blocks, begin = u0 + (v0 + j) % blocks * W;
                const long n = std::max(0L, std::min(W, units - begin));
                REAL *to = out + j * W;
                const REAL *from = matrix + (g * units + begin) * row;
                for (long i = 0; i < W; i++) to[i] = bias && i < n ? bias[g * units + begin + i] : 0;
                to = out + N * W;
                if (low == 2) {
                    int8_t *fours = (int8_t *)(out + 3 * N * W);
                    for (long i = 0; i < W; i++) {
                        REAL most = 0;
                        for (long k = 0; i < n && k < depth; k++) most = std::max(most, std::fabs(from[i * row + k * column]));
                        const REAL scale = most > 0 ? most / 127 : 1;
                        int32_t sum = 0;
                        for (long k = 0; k < (depth + 3) / 4 * 4; k++) {
                            const int q = i < n && k < depth ? (int)std::lround(from[i * row + k * column] / scale) : 0;
                            fours[(k / 4 * N * W + j * W + i) * 4 + k % 4] = (int8_t)q;
                            sum += q;
                        }
                        out[(N + j) * W + i] = scale;
                        ((int32_t *)(out + 2 * N * W))[j * W + i] = 128 * sum;
                    }
                } else if (low) {
                    uint16_t *pairs = (uint16_t *)to;
                    for (long k = 0; k < (depth + 1) / 2 * 2; k++)
                        for (long i = 0; i < W; i++)
                            pairs[(k / 2 * N * W + j * W + i) * 2 + k % 2] =
                                i < n && k < depth ? narrow(from[i * row + k * column]) : 0;
                } else if (n == W && column == 1) {
                    for (long k0 = 0; k0 < depth; k0 += 16)
                        for (long i = 0; i < W; i++)
                            for (long k = k0; k < std::min(depth, k0 + 16); k++) to[(k * N + j) * W + i] = from[i * row + k];
                } else {
                    for (long k = 0; k < depth; k++)
                        for (long i = 0; i < W; i++) to[(k * N + j) * W + i] = i < n ? from[i * row + k * column] : 0;
                }
            }
            out += chunk_size(depth, N, low);
        }
}

}  // namespace
