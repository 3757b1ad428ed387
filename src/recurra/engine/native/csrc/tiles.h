// Products of packed matrices, tile by tile: a few rows of the left factor times a few vectors of a panel.
#pragma once
#include "vec.h"
#include <algorithm>
#include <type_traits>

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
inline uint16_t narrow(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    if (x != x) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// Left factors of few bits: as the processor multiplies them, or wider, with the weights widened as they are loaded.
#if defined(__AVX512BF16__) && WIDTH == 64
constexpr bool OWN_LOW = SINGLE;
#else
constexpr bool OWN_LOW = false;
#endif
#if defined(__AVX512VNNI__) && WIDTH == 64
constexpr bool OWN_INTEGER = SINGLE;
#else
constexpr bool OWN_INTEGER = false;
#endif
typedef std::conditional<OWN_LOW, uint16_t, float>::type Low;
typedef std::conditional<OWN_INTEGER, uint8_t, int16_t>::type Integer;

void narrow_row(const REAL *from, long n, uint16_t *to) {
    long k = 0;
#if defined(__AVX512BF16__) && WIDTH == 64
    if constexpr (SINGLE)
        for (; k + 16 <= n; k += 16)
            _mm256_storeu_si256((__m256i *)(to + k), (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps((const float *)from + k)));
#endif
    for (; k < n; k++) to[k] = narrow(from[k]);
}

// The same, each as the float that it stands for.
void narrow_row(const REAL *from, long n, float *to) {
    for (long k = 0; k < n; k++) {
        const float x = from[k];
        uint32_t bits;
        memcpy(&bits, &x, 4);
        bits = x != x ? bits : (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
        memcpy(to + k, &bits, 4);
    }
}

// How a product's factors are kept: as they are; as bfloat16, two to a float's place; as integers of eight bits; rounded
// to bfloat16, as floats.
enum Kept : long { EXACT = 0, PAIRS = 1, INTEGERS = 2, ROUNDED = 3 };

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
void tile_low(const Low *A, long lda, const uint16_t *panel, const REAL *start, long K, REAL *C, long ldc) {
    if constexpr (OWN_LOW) {
#if defined(__AVX512BF16__) && WIDTH == 64
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
#endif
    } else if constexpr (SINGLE) {
        // A weight is the upper half of a float: a shift and a mask make two vectors of floats of one of pairs. Where
        // there are registers, odd depths have sums of their own: fewer additions wait for each other.
        constexpr long S = R * N <= 4 ? 2 : 1;
        V sum[S][R][N] = {};
        for (long j = 0; j < N; j++)
            for (long r = 0; r < R; r++) sum[0][r][j] = load(start + j * W);
        for (long k = 0; k < K; k += 2) {
            const uint16_t *pairs = panel + k * N * W;
            V b[N];
#pragma GCC unroll 8
            for (long j = 0; j < N; j++) b[j] = (V)(load_bits(pairs + 2 * j * W) << 16);
#pragma GCC unroll 16
            for (long r = 0; r < R; r++) {
                const REAL a = A[r * lda + k];
#pragma GCC unroll 8
                for (long j = 0; j < N; j++) sum[0][r][j] += a * b[j];
            }
#pragma GCC unroll 8
            for (long j = 0; j < N; j++) b[j] = (V)(load_bits(pairs + 2 * j * W) & 0xffff0000u);
#pragma GCC unroll 16
            for (long r = 0; r < R; r++) {
                const REAL a = A[r * lda + k + 1];
#pragma GCC unroll 8
                for (long j = 0; j < N; j++) sum[S - 1][r][j] += a * b[j];
            }
        }
        for (long r = 0; r < R; r++)
            for (long j = 0; j < N; j++) store(C + r * ldc + j * W, S == 2 ? sum[0][r][j] + sum[S - 1][r][j] : sum[0][r][j]);
    }
}

// The same with integers of eight bits, four depths at a time: A[R][K] as `quantise` leaves it, panel[K / 4][N vectors]
// [W units][4] signed; `head` holds start, scales of the weights and 128 times their sums, scale[R] that of A's rows.
template <long R, long N>
void tile_integer(const Integer *A, long lda, const int8_t *panel, const REAL *head, const float *scale, long K, REAL *C,
                  long ldc) {
    const REAL *start = head, *weights = head + N * W;
    if constexpr (OWN_INTEGER) {
#if defined(__AVX512VNNI__) && WIDTH == 64
        const int32_t *correction = (const int32_t *)(head + 2 * N * W);
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
#endif
    } else if constexpr (SINGLE) {
        // Two shifts make integers of sixteen bits of those of eight, whose products are summed in pairs; sums are exact.
        I sum[R][N] = {};
        for (long k = 0; k < K; k += 4) {
            I even[N], odd[N];  // of the depths 0 and 2, 1 and 3
#pragma GCC unroll 8
            for (long j = 0; j < N; j++) {
                const I16 four = (I16)load_bits(panel + (k * N + 4 * j) * W);
                even[j] = (I)(I16)((I16)(four << 8) >> 8);
                odd[j] = (I)(I16)(four >> 8);
            }
#pragma GCC unroll 16
            for (long r = 0; r < R; r++) {
                int32_t pairs[2];
                memcpy(pairs, A + r * lda + k, 8);
                const I a = I{} + pairs[0], b = I{} + pairs[1];
#pragma GCC unroll 8
                for (long j = 0; j < N; j++) sum[r][j] += sums_of_pairs(even[j], a) + sums_of_pairs(odd[j], b);
            }
        }
        for (long r = 0; r < R; r++)
            for (long j = 0; j < N; j++) {
                const V whole = __builtin_convertvector(sum[r][j], V);
                store(C + r * ldc + j * W, load(start + j * W) + whole * (load(weights + j * W) * scale[r]));
            }
    }
}

// A row's scale, its largest entry as 127; none where an entry is no number or infinite.
float scale_of(const REAL *from, long n) {
    V most = {}, nothing = {};
    const auto add = [&](V x) {
        nothing += x * (REAL)0;
        x = x < V{} ? -x : x;
        most = x > most ? x : most;
    };
    long k = 0;
    for (; k + W <= n; k += W) add(load(from + k));
    if (k < n) add(load(from + k, n - k));
    REAL largest = 0, zero = 0;
    for (long i = 0; i < W; i++) largest = std::max(largest, most[i]), zero += nothing[i];
    return zero == 0 ? largest > 0 ? (float)largest / 127 : 1 : NAN;
}

// A row as integers of eight bits, up to the next multiple of four; gives the scale.
float quantise(const REAL *from, long n, Integer *to) {
    const float scale = scale_of(from, n), factor = 1 / scale;
    const long all = (n + 3) / 4 * 4, whole = scale == scale ? n : 0;
    if constexpr (OWN_INTEGER) {  // unsigned, 128 for zero
        for (long k = 0; k < whole; k++) to[k] = (Integer)(int)(from[k] * factor + (REAL)128.5);
        for (long k = whole; k < all; k++) to[k] = 0;
    } else {  // of each four the depths 0, 2, 1, 3
        const auto put = [&](long k, int q) { to[k / 4 * 4 + (k % 2 * 2 + k % 4 / 2)] = (Integer)q; };
        for (long k = 0; k < whole; k++) put(k, (int)(from[k] * factor + (REAL)128.5) - 128);
        for (long k = whole; k < all; k++) put(k, 0);
    }
    return scale;
}

typedef void (*Tile)(const REAL *, long, const REAL *, const REAL *, long, REAL *, long);
typedef void (*TileInteger)(const Integer *, long, const int8_t *, const REAL *, const float *, long, REAL *, long);
typedef void (*TileLow)(const Low *, long, const uint16_t *, const REAL *, long, REAL *, long);
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
    return (low == INTEGERS ? 3 + (depth + 3) / 4 : low == PAIRS ? 1 + (depth + 1) / 2 : 1 + depth) * N * W;
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
                if (low == INTEGERS) {
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
                } else if (low == PAIRS) {
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
            if constexpr (SINGLE)
                if (low == ROUNDED) narrow_row(out + N * W, depth * N * W, (float *)out + N * W);
            out += chunk_size(depth, N, low);
        }
}

}  // namespace
