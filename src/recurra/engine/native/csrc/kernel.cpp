// The time loop of every cell: packed products, tile by tile, with the cell's own pointwise functions between them.
// Each thread carries its rows of the batch through all steps; nobody waits for anybody.
#include "kernel.h"
#include <algorithm>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

constexpr long WIDEST = 6;        // vectors of a tile's row
constexpr long MOST_ROWS = 12;    // rows of a tile
constexpr long MOST_VECTORS = 48; // of all gates in a tile's row
constexpr long MOST_VALUES = 96;

// Rows of a tile of `n` vectors a row: as many as leave registers for the factors.
constexpr long tile_rows(long n) {
#if WIDTH == 64
    return n <= 2 ? 12 : n == 3 ? 8 : n == 4 ? 6 : n == 5 ? 5 : 4;
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

// Unit blocks of a panel: few gates share a tile with several blocks of units.
constexpr long blocks_of(long gates) { return gates == 1 ? 4 : gates == 2 ? 2 : 1; }

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

typedef void (*Tile)(const REAL *, long, const REAL *, const REAL *, long, REAL *, long);
typedef void (*TileLow)(const uint16_t *, long, const uint16_t *, const REAL *, long, REAL *, long);
struct Tiles {
    Tile plain;
    TileLow low;
};

template <long N> Tiles tile_of(long R) {
    switch (R) {
#define CASE(r) \
    case r:     \
        if constexpr (r <= tile_rows(N)) return {tile<r, N>, tile_low<r, N>};
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
        if (vectors > 4 && vectors % 4 == 0) count = vectors / 4;
        first = vectors / count;
        larger = vectors % count;
    }
    long size(long k) const { return first + (k < larger); }
};

struct Place {
    REAL *pointer;
    long stride;
};

REAL *row_of(const Value &v, long t, long r, long thread, const Call &c, REAL *scratch) {
    switch (v.mode) {
        case WHOLE: return v.base + (c.starts[t] + r) * v.stride;
        case PREVIOUS: return v.base + ((t ? c.batch + c.starts[t - 1] : 0) + r) * v.stride;
        case NEW: return v.base + (c.batch + c.starts[t] + r) * v.stride;
        case SCRATCH: return scratch + (long)(intptr_t)v.base;
        case CARRY: return v.base + r * v.stride;
        case ACCUMULATOR: return v.base + thread * v.stride;
        default: return v.base;
    }
}

// Panels hold, for each chunk, its start [N * W] and then the depths; in bfloat16 two to a REAL's place, an odd depth
// filled up with zeros.
long chunk_size(long depth, long N, bool low) {
    return (1 + (low ? (depth + 1) / 2 * 2 * (long)sizeof(uint16_t) / (long)sizeof(REAL) : depth)) * N * W;
}

void product(const Op &op, const Place *at, long rows, REAL *buffer, uint16_t *low) {
    const long blocks = blocks_of(op.gates), vectors = op.gates * blocks, span = blocks * W;
    const Chunks chunks(vectors);
    const REAL *panel = (const REAL *)op.packed;
    const long ldc = vectors * W;
    const REAL *A = at[op.argument].pointer;
    const long lda = at[op.argument].stride, even = (op.depth + 1) / 2 * 2;
    if (op.low)
        for (long r = 0; r < rows; r++) {
            narrow_row(A + r * lda, op.depth, low + r * even);
            if (op.depth < even) low[r * even + op.depth] = 0;
        }
    long most = MOST_ROWS;
    for (long k = 0; k < chunks.count; k++) most = std::min(most, tile_rows(chunks.size(k)));
    const long parts = (rows + most - 1) / most;
    REAL *pointers[MOST_VALUES];
    long strides[MOST_VALUES];
    long panel_size = 0;
    for (long k = 0; k < chunks.count; k++) panel_size += chunk_size(op.depth, chunks.size(k), op.low);
    for (long u = 0; u < op.units; u += span, panel += panel_size) {
        const long width = std::min(span, op.units - u);
        for (long part = 0, r = 0; part < parts; part++) {
            const long n = rows / parts + (part < rows % parts);
            const REAL *chunk = panel;
            for (long k = 0, column = 0; k < chunks.count; k++) {
                const long N = chunks.size(k);
                REAL *C = buffer + column * W;
                if (op.low)
                    find_tile(N, n).low(low + r * even, even, (const uint16_t *)(chunk + N * W), chunk, even, C, ldc);
                else
                    find_tile(N, n).plain(A + r * lda, lda, chunk + N * W, chunk, op.depth, C, ldc);
                chunk += chunk_size(op.depth, N, op.low);
                column += N;
            }
            if (op.point) {
                for (long k = 0; k < op.count; k++) {
                    const long v = op.list[k];
                    if (v < 0) {
                        pointers[k] = buffer + (-1 - v) * span;
                        strides[k] = ldc;
                    } else {
                        const bool scalar = at[v].stride < 0;
                        pointers[k] = scalar ? at[v].pointer : at[v].pointer + u + r * at[v].stride;
                        strides[k] = scalar ? 0 : at[v].stride;
                    }
                }
                op.point(pointers, strides, n, width);
            } else {
                for (long g = 0; g < op.gates; g++) {
                    const Place &to = at[op.list[g]];
                    for (long i = 0; i < n; i++)
                        memcpy(to.pointer + (r + i) * to.stride + u, buffer + i * ldc + g * span, width * sizeof(REAL));
                }
            }
            r += n;
        }
    }
}

void point(const Op &op, const Place *at, long rows) {
    REAL *pointers[MOST_VALUES];
    long strides[MOST_VALUES];
    for (long k = 0; k < op.count; k++) {
        pointers[k] = at[op.list[k]].pointer;
        strides[k] = std::max(at[op.list[k]].stride, 0L);
    }
    op.point(pointers, strides, rows, op.units);
}

// list: arguments, results, scale
void norm(const Op &op, const Place *at, long rows, REAL epsilon) {
    const long parts = op.gates, H = op.units;
    const Place &scale = at[op.list[2 * parts]];
    for (long r = 0; r < rows; r++) {
        REAL mean = 0, square = 0;
        for (long k = 0; k < parts; k++) {
            const REAL *a = at[op.list[k]].pointer + r * at[op.list[k]].stride;
            REAL sum = 0;
#pragma omp simd reduction(+ : sum)
            for (long u = 0; u < H; u++) sum += a[u];
            mean += sum;
        }
        mean /= parts * H;
        for (long k = 0; k < parts; k++) {
            const REAL *a = at[op.list[k]].pointer + r * at[op.list[k]].stride;
            REAL sum = 0;
#pragma omp simd reduction(+ : sum)
            for (long u = 0; u < H; u++) sum += (a[u] - mean) * (a[u] - mean);
            square += sum;
        }
        const REAL factor = 1 / std::sqrt(square / (parts * H) + epsilon);
        for (long k = 0; k < parts; k++) {
            const REAL *a = at[op.list[k]].pointer + r * at[op.list[k]].stride;
            REAL *y = at[op.list[parts + k]].pointer + r * at[op.list[parts + k]].stride;
            for (long u = 0; u < H; u++) y[u] = (a[u] - mean) * factor;
        }
        scale.pointer[r * scale.stride] = factor;
    }
}

// list: results, gradients, values of the forward's result, scale
void norm_transposed(const Op &op, const Place *at, long rows) {
    const long parts = op.gates, H = op.units;
    const long *outs = op.list, *grads = outs + parts, *values = grads + parts;
    const Place &scale = at[op.list[3 * parts]];
    for (long r = 0; r < rows; r++) {
        REAL mean = 0, along = 0;
        for (long k = 0; k < parts; k++) {
            const REAL *g = at[grads[k]].pointer + r * at[grads[k]].stride;
            const REAL *y = at[values[k]].pointer + r * at[values[k]].stride;
            REAL sum = 0, dot = 0;
#pragma omp simd reduction(+ : sum, dot)
            for (long u = 0; u < H; u++) sum += g[u], dot += g[u] * y[u];
            mean += sum;
            along += dot;
        }
        mean /= parts * H;
        along /= parts * H;
        const REAL factor = scale.pointer[r * scale.stride];
        for (long k = 0; k < parts; k++) {
            const REAL *g = at[grads[k]].pointer + r * at[grads[k]].stride;
            const REAL *y = at[values[k]].pointer + r * at[values[k]].stride;
            REAL *o = at[outs[k]].pointer + r * at[outs[k]].stride;
            for (long u = 0; u < H; u++) o[u] = (g[u] - mean - y[u] * along) * factor;
        }
    }
}

void sweep(const Call &c, long thread, REAL epsilon) {
    const long first = c.split[thread], last = c.split[thread + 1];
    REAL *scratch = c.scratch + thread * c.scratch_size;
    alignas(64) REAL buffer[MOST_ROWS * MOST_VECTORS * W];
    Place at[MOST_VALUES];
    for (long i = 0; i < c.steps; i++) {
        const long t = c.backwards ? c.steps - 1 - i : i;
        const long rows = std::min(c.sizes[t], last) - first;
        if (rows <= 0) continue;
        for (long v = 0; v < c.value_count; v++) {
            const Value &value = c.values[v];
            at[v].pointer = row_of(value, t, first, thread, c, scratch);
            at[v].stride = value.mode == SCALAR ? -1 : value.mode == PARAMETER || value.mode == ACCUMULATOR ? 0 : value.stride;
        }
        for (long k = 0; k < c.op_count; k++) {
            const Op &op = c.ops[k];
            switch (op.kind) {
                case POINT: point(op, at, rows); break;
                case PRODUCT: product(op, at, rows, buffer, c.low + thread * c.low_size); break;
                case NORM: norm(op, at, rows, epsilon); break;
                case NORM_TRANSPOSED: norm_transposed(op, at, rows); break;
            }
        }
        if (c.backwards && c.truncate && t % c.truncate == 0 && t)
            for (long v = 0; v < c.value_count; v++)
                if (c.values[v].mode == CARRY)
                    for (long r = 0; r < rows; r++) memset(at[v].pointer + r * at[v].stride, 0, at[v].stride * sizeof(REAL));
    }
}

}  // namespace

EXPORT void recurra_run(const Call *call, double epsilon) {
    if (call->threads == 1) {
        sweep(*call, 0, epsilon);
        return;
    }
#pragma omp parallel for schedule(static, 1) num_threads(call->threads)
    for (long k = 0; k < call->threads; k++) sweep(*call, k, epsilon);
}

EXPORT long recurra_packed_size(long depth, long gates, long units, long low) {
    const long span = blocks_of(gates) * W;
    return chunk_size(depth, gates * blocks_of(gates), low) * ((units + span - 1) / span);
}

// The matrix of a product as panels. Result g, unit u, depth k is matrix[(g * units + u) * row + k * column]; start is
// the bias [gates * units] or null.
EXPORT void recurra_pack(const REAL *matrix, long row, long column, const REAL *bias, long depth, long gates, long units,
                         long low, REAL *out) {
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
                if (low) {
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
