// The time loop of every cell: packed products, tile by tile, with the cell's own pointwise functions between them.
// Each thread carries its rows of the batch through all steps; nobody waits for anybody.
#include "kernel.h"
#include "whole.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

constexpr long MOST_VALUES = 96;

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
        case INPUT: return (REAL *)c.x + (long)(intptr_t)v.base + r * v.stride;
        case BEFORE: return (REAL *)c.before + (long)(intptr_t)v.base + r * v.stride;
        case AFTER: return c.after + (long)(intptr_t)v.base + r * v.stride;
        default: return v.base;
    }
}

void product(const Op &op, const Place *at, long rows, REAL *buffer, float *room) {
    const long blocks = blocks_of(op.gates), vectors = op.gates * blocks, span = blocks * W;
    const Chunks chunks(vectors);
    const REAL *panel = (const REAL *)op.packed;
    const long ldc = vectors * W;
    const REAL *A = at[op.argument].pointer;
    const long lda = at[op.argument].stride, even = (op.depth + 1) / 2 * 2, fourfold = (op.depth + 3) / 4 * 4;
    float *scales = room;
    Integer *integers = (Integer *)(scales + rows);
    Low *low = (Low *)room;
    for (long r = 0; op.low && r < rows; r++) {
        const REAL *row = A + r * lda;
        if (op.low == INTEGERS)
            scales[r] = quantise(row, op.depth, integers + r * fourfold);
        else if (op.low == ROUNDED)
            narrow_row(row, op.depth, room + r * even);
        else {
            narrow_row(row, op.depth, low + r * even);
            if (op.depth < even) low[r * even + op.depth] = 0;
        }
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
            for (long k = 0; op.point && k < op.count; k++) {
                const long v = op.list[k];
                const bool scalar = v >= 0 && at[v].stride < 0;
                pointers[k] = v < 0 ? buffer + (-1 - v) * span : scalar ? at[v].pointer : at[v].pointer + u + r * at[v].stride;
                strides[k] = v < 0 ? ldc : scalar ? 0 : at[v].stride;
                // What the point reads lies far apart, a line a row: it is fetched while the tile is computed.
                for (long i = 0; v >= 0 && strides[k] && i < n; i++)
                    for (long line = 0; line < width; line += 64 / sizeof(REAL))
                        __builtin_prefetch(pointers[k] + i * strides[k] + line);
            }
            const REAL *chunk = panel;
            for (long k = 0, column = 0; k < chunks.count; k++) {
                const long N = chunks.size(k);
                REAL *C = buffer + column * W;
                if (op.low == INTEGERS)
                    find_tile(N, n).integer(integers + r * fourfold, fourfold, (const int8_t *)(chunk + 3 * N * W), chunk,
                                            scales + r, fourfold, C, ldc);
                else if (op.low == ROUNDED)
                    find_tile(N, n).plain((const REAL *)room + r * even, even, chunk + N * W, chunk, op.depth, C, ldc);
                else if (op.low == PAIRS)
                    find_tile(N, n).low(low + r * even, even, (const uint16_t *)(chunk + N * W), chunk, even, C, ldc);
                else
                    find_tile(N, n).plain(A + r * lda, lda, chunk + N * W, chunk, op.depth, C, ldc);
                chunk += chunk_size(op.depth, N, op.low);
                column += N;
            }
            if (op.point) {
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

// Sums of a row are taken in double: what is left after the mean is taken away may be small.
// list: arguments, results, scale
void norm(const Op &op, const Place *at, long rows, REAL epsilon) {
    const long parts = op.gates, H = op.units;
    const Place &scale = at[op.list[2 * parts]];
    for (long r = 0; r < rows; r++) {
        double mean = 0, square = 0;
        for (long k = 0; k < parts; k++) {
            const REAL *a = at[op.list[k]].pointer + r * at[op.list[k]].stride;
            double sum = 0;
#pragma omp simd reduction(+ : sum)
            for (long u = 0; u < H; u++) sum += a[u];
            mean += sum;
        }
        mean /= parts * H;
        for (long k = 0; k < parts; k++) {
            const REAL *a = at[op.list[k]].pointer + r * at[op.list[k]].stride;
            double sum = 0;
#pragma omp simd reduction(+ : sum)
            for (long u = 0; u < H; u++) sum += (a[u] - mean) * (a[u] - mean);
            square += sum;
        }
        const REAL factor = 1 / std::sqrt(square / (parts * H) + epsilon), centre = mean;
        for (long k = 0; k < parts; k++) {
            const REAL *a = at[op.list[k]].pointer + r * at[op.list[k]].stride;
            REAL *y = at[op.list[parts + k]].pointer + r * at[op.list[parts + k]].stride;
            for (long u = 0; u < H; u++) y[u] = (a[u] - centre) * factor;
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
        double mean = 0, along = 0;
        for (long k = 0; k < parts; k++) {
            const REAL *g = at[grads[k]].pointer + r * at[grads[k]].stride;
            const REAL *y = at[values[k]].pointer + r * at[values[k]].stride;
            double sum = 0, dot = 0;
#pragma omp simd reduction(+ : sum, dot)
            for (long u = 0; u < H; u++) sum += g[u], dot += (double)g[u] * y[u];
            mean += sum;
            along += dot;
        }
        mean /= parts * H;
        along /= parts * H;
        const REAL factor = scale.pointer[r * scale.stride], shift = mean, slope = along;
        for (long k = 0; k < parts; k++) {
            const REAL *g = at[grads[k]].pointer + r * at[grads[k]].stride;
            const REAL *y = at[values[k]].pointer + r * at[values[k]].stride;
            REAL *o = at[outs[k]].pointer + r * at[outs[k]].stride;
            for (long u = 0; u < H; u++) o[u] = (g[u] - shift - y[u] * slope) * factor;
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

// A single step of each layer; their states stand behind each other in `before` and `after`. `y` is a copy of the output.
EXPORT void recurra_step(const Stack *stack, const REAL *x, const REAL *before, REAL *after, REAL *y) {
    for (long k = 0; k < stack->layers; k++) {
        Call &call = stack->calls[k];
        call.x = x;
        call.before = before;
        call.after = after;
        sweep(call, 0, stack->epsilon);
    }
    memcpy(y, after + stack->output, stack->outputs * sizeof(REAL));
}

EXPORT long recurra_packed_size(long depth, long gates, long units, long low) {
    const long span = blocks_of(gates) * W;
    return chunk_size(depth, gates * blocks_of(gates), low) * ((units + span - 1) / span);
}

EXPORT void recurra_pack(const REAL *matrix, long row, long column, const REAL *bias, long depth, long gates, long units,
                         long low, REAL *out) {
    pack(matrix, row, column, bias, depth, gates, units, low, out);
}

// C[rows][units] = A[rows][depth] * a matrix packed as one gate, and its start.
EXPORT void recurra_multiply(const REAL *A, long lda, long rows, const REAL *packed, long depth, long units, REAL *C,
                             long ldc, long threads) {
#pragma omp parallel for schedule(static, 1) num_threads(threads) if (threads > 1)
    for (long k = 0; k < threads; k++) {
        const long first = rows * k / threads, last = rows * (k + 1) / threads;
        multiply(A + first * lda, lda, last - first, packed, depth, units, C + first * ldc, ldc);
    }
}

// Each entry as the nearest of bfloat16.
EXPORT void recurra_round(const REAL *from, long n, float *to, long threads) {
#pragma omp parallel for schedule(static, 1) num_threads(threads) if (threads > 1)
    for (long k = 0; k < threads; k++) {
        const long first = n * k / threads;
        narrow_row(from + first, n * (k + 1) / threads - first, to + first);
    }
}

EXPORT long recurra_summing_room(long columns) { return summing_room(columns); }

EXPORT void recurra_sum_of_rows(const REAL *A, long lda, const REAL *B, long ldb, long depth, long rows, long columns,
                                REAL *C, long ldc, long threads, REAL *room) {
#pragma omp parallel for schedule(static, 1) num_threads(threads) if (threads > 1)
    for (long k = 0; k < threads; k++) {
        const long first = rows * k / threads, last = rows * (k + 1) / threads;
        sum_of_rows(A + first, lda, B, ldb, depth, last - first, columns, C + first * ldc, ldc,
                    room + k * summing_room(columns));
    }
}
