// What stands behind a convolution over pictures: the norm of each picture, the rectifier, a sum with what the
// convolution read, and the largest of each few pixels. Arrays are [picture][column][row][channel], so the columns of a
// picture that are there lie side by side; of the others nothing is read, and what is given back is 0.
#include <algorithm>
#include "vec.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

struct Call {
    const REAL *x;        // [B][T][R][C]
    const REAL *added;    // as x, or null
    const int64_t *ends;  // [B], columns that are there
    const REAL *weight;   // [C]
    const REAL *bias;     // [C]
    REAL *y;              // [B][T / columns][R / rows][C]
    double *statistics;   // [B][2]: mean, 1 / sqrt(variance + epsilon)
    const REAL *grad;     // as y
    REAL *grad_x;         // as x
    REAL *grad_added;     // as x, or null
    REAL *grad_weight;    // [B][C], a row a picture: their sums do not depend on threads
    REAL *grad_bias;      // [B][C]
    double *room;         // [threads][2][C]
    int64_t batch, steps, height, channels;
    int64_t columns, rows;  // of a pixel of y
    int64_t threads;
};

typedef decltype(V{} < V{}) Mask;

// The sum of f over n entries. Sums of a column are of REAL, those of a picture of double.
template <class F> double sum(const REAL *x, long n, F f) {
    V sums[4] = {};
    long k = 0;
    for (; k + 4 * W <= n; k += 4 * W)
        for (long j = 0; j < 4; j++) sums[j] += f(load(x + k + j * W));
    for (; k + W <= n; k += W) sums[0] += f(load(x + k));
    double whole = 0;
    const V together = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    for (long j = 0; j < W; j++) whole += together[j];
    for (; k < n; k++) whole += f(all(x[k]))[0];
    return whole;
}

struct Picture {
    const Call &c;
    const long above, beside;  // rows and columns of y
    const long line, row;      // entries of a column of x and of y
    const long n, filled;      // columns of x that are there, and columns of y that one of them is in
    const REAL *x, *added;

    Picture(const Call &c, long b)
        : c(c), above(c.height / c.rows), beside(c.steps / c.columns), line(c.height * c.channels),
          row(above * c.channels), n(std::clamp<int64_t>(c.ends[b], 0, c.steps)),
          filled(std::min(beside, (n + c.columns - 1) / c.columns)), x(c.x + b * c.steps * line),
          added(c.added ? c.added + b * c.steps * line : nullptr) {}

    double size() const { return std::max(1L, n * line); }
    const REAL *added_at(long t) const { return added ? added + t * c.columns * line : nullptr; }
    // Whether pixels of column t of y reach behind the end, where x is 0. What is rectified is never below that.
    bool cut(long t) const { return added && n - t * c.columns < c.columns; }
};

// COUNT pixels of x of which y takes the largest: column by column, and down each.
template <long COUNT> struct Window {
    long places[COUNT];  // of a channel, from that of the first

    Window(const Picture &p) {
        const long rows = p.c.rows;
        for (long k = 0; k < COUNT; k++) places[k] = k / rows * p.line + k % rows * p.c.channels;
    }
};

template <long COUNT> void forward(const Picture &p, long t, REAL mean, REAL factor, REAL *to) {
    const Call &c = p.c;
    const Window<COUNT> window(p);
    const long units = c.channels;
    const REAL *x = p.x + t * c.columns * p.line, *added = p.added_at(t);
    const bool cut = p.cut(t);
    auto at = [&](long u, auto get, auto put) {
        const V scale = get(c.weight + u) * factor, bias = get(c.bias + u);
        for (long r = 0; r < p.above; r++) {
            V best = {};
            for (long k = 0; k < COUNT; k++) {
                const long place = r * c.rows * units + u + window.places[k];
                V value = relu((get(x + place) - mean) * scale + bias);
                if (added) value += get(added + place);
                best = k ? maximum(best, value) : value;
            }
            if (cut) best = maximum(best, V{});
            put(to + r * units + u, best);
        }
    };
    EVERY_UNIT(at)
}

// The first pass of a column of y: weight times what arrives goes to the place of dx; sums[c] += what arrives,
// products[c] += what arrives times x - mean. Which pixel was the largest is found out anew: all are read for their
// norms anyway.
template <long COUNT>
void backward(const Picture &p, long t, REAL mean, REAL factor, const REAL *dy, REAL *dx, REAL *dadded, double *sums,
              double *products) {
    const Call &c = p.c;
    const Window<COUNT> window(p);
    const long units = c.channels;
    const REAL *x = p.x + t * c.columns * p.line, *added = p.added_at(t);
    const bool cut = p.cut(t);
    auto at = [&](long u, auto get, auto put) {
        const V weight = get(c.weight + u), scale = weight * factor, bias = get(c.bias + u);
        V some = {}, product = {};
        for (long r = 0; r < p.above; r++) {
            const V arriving = get(dy + r * units + u);
            V centred[COUNT], normed[COUNT], best = {};
            Mask largest = {};
            for (long k = 0; k < COUNT; k++) {
                const long place = r * c.rows * units + u + window.places[k];
                centred[k] = get(x + place) - mean;
                normed[k] = centred[k] * scale + bias;
                V value = relu(normed[k]);
                if (added) value += get(added + place);
                const Mask larger = value > best;
                largest = k ? (larger & (int)k) | (~larger & largest) : largest;
                best = k ? (larger ? value : best) : value;
            }
            if (cut) largest |= best < V{};  // then it is none of these
            for (long k = 0; k < COUNT; k++) {
                const long place = r * c.rows * units + u + window.places[k];
                const V taken = largest == (int)k ? arriving : V{}, passed = normed[k] > V{} ? taken : V{};
                if (added) put(dadded + place, taken);
                put(dx + place, passed * weight);
                some += passed;
                product += passed * centred[k];
            }
        }
        for (long j = 0; j < std::min(W, units - u); j++) sums[u + j] += some[j], products[u + j] += product[j];
    };
    EVERY_UNIT(at)
}

void forward_picture(const Call &c, long b, double epsilon) {
    const Picture p(c, b);
    double total = 0, square = 0;
    for (long t = 0; t < p.n; t++) total += sum(p.x + t * p.line, p.line, [](V v) { return v; });
    const double exact = total / p.size();
    const REAL mean = exact;
    for (long t = 0; t < p.n; t++)
        square += sum(p.x + t * p.line, p.line, [mean](V v) { return (v - mean) * (v - mean); });
    const double factor = 1 / std::sqrt(square / p.size() + epsilon);
    c.statistics[2 * b] = exact;
    c.statistics[2 * b + 1] = factor;
    REAL *y = c.y + b * p.beside * p.row;
    for (long t = 0; t < p.filled; t++, y += p.row) {
        switch (std::min<long>(c.columns, p.n - t * c.columns) * c.rows) {
            case 1: forward<1>(p, t, mean, factor, y); break;
            case 2: forward<2>(p, t, mean, factor, y); break;
            case 4: forward<4>(p, t, mean, factor, y); break;
        }
    }
    memset(y, 0, (p.beside - p.filled) * p.row * sizeof(REAL));
}

// With a' = d loss / d normed, n entries of x, m and f their mean and 1 / sqrt(variance + epsilon):
// dx = f (w a' - sum(w a') / n - (x - m) f^2 sum(w a' (x - m)) / n), dw = f sum(a' (x - m)), db = sum(a').
void backward_picture(const Call &c, long b, double *room) {
    const Picture p(c, b);
    const double factor = c.statistics[2 * b + 1];
    const REAL mean = c.statistics[2 * b];
    REAL *dx = c.grad_x + b * c.steps * p.line, *dadded = c.added ? c.grad_added + b * c.steps * p.line : nullptr;
    const REAL *dy = c.grad + b * p.beside * p.row;
    double *sums = room, *products = room + c.channels;
    std::fill(room, room + 2 * c.channels, 0);
    // Up to here every pixel is in one of y.
    const long whole = p.above * c.rows == c.height ? std::min<long>(p.n, p.filled * c.columns) : 0;
    memset(dx + whole * p.line, 0, (c.steps - whole) * p.line * sizeof(REAL));
    if (dadded) memset(dadded + whole * p.line, 0, (c.steps - whole) * p.line * sizeof(REAL));
    for (long t = 0; t < p.filled; t++, dy += p.row) {
        const long first = t * c.columns * p.line;
        REAL *to = dx + first, *to_added = dadded ? dadded + first : nullptr;
        switch (std::min<long>(c.columns, p.n - t * c.columns) * c.rows) {
            case 1: backward<1>(p, t, mean, factor, dy, to, to_added, sums, products); break;
            case 2: backward<2>(p, t, mean, factor, dy, to, to_added, sums, products); break;
            case 4: backward<4>(p, t, mean, factor, dy, to, to_added, sums, products); break;
        }
    }
    double both = 0, along = 0;
    for (long u = 0; u < c.channels; u++) {
        both += c.weight[u] * sums[u];
        along += c.weight[u] * products[u];
        c.grad_bias[b * c.channels + u] = sums[u];
        c.grad_weight[b * c.channels + u] = factor * products[u];
    }
    const REAL scale = factor, shift = both / p.size(), slope = factor * factor * along / p.size();
    const long units = p.n * p.line;
    auto at = [&](long u, auto get, auto put) {
        put(dx + u, scale * (get(dx + u) - shift - (get(p.x + u) - mean) * slope));
    };
    EVERY_UNIT(at)
}

template <class F> void every_picture(const Call &c, F f) {
#pragma omp parallel for schedule(static, 1) num_threads(c.threads) if (c.threads > 1)
    for (long thread = 0; thread < c.threads; thread++)
        for (long b = thread; b < c.batch; b += c.threads) f(b, c.room + thread * 2 * c.channels);
}

}  // namespace

// y, and each picture's statistics. Pixels of y are 1 x 1, 1 x 2 or 2 x 2.
EXPORT void recurra_pictures(const Call *c, double epsilon) {
    every_picture(*c, [=](long b, double *) { forward_picture(*c, b, epsilon); });
}

// What arrives at y, handed on to x, what was added, weight and bias.
EXPORT void recurra_pictures_backward(const Call *c) {
    every_picture(*c, [=](long b, double *room) { backward_picture(*c, b, room); });
}
