// Conjugate gradients for S x = r, S = diag(curvature) - A of truncated Newton (ot/newton_cg.hpp),
// as bodies of each() and settle(): whatever a step decides is decided where the data are, so that
// a host may run ahead. The diagonal preconditions; CG is flexible (Polak-Ribiere), so a model may
// do more. Where S does not see constants they are taken out of r and z, over free entries: those
// of positive curvature. CG ends where r.z has fallen enough, or before an entry of x passes the
// radius, at that boundary along the current direction (Steihaug in the max norm).
#pragma once
#include <cmath>
#include <cstdint>

#include "kernels/each.hpp"
#include "kernels/newton.hpp"
#include "monge/core/memory.hpp"

namespace monge::kernels {
/// Between two steps.
struct Cg {
  double rz, enough;                      // r.z, and where it is small enough
  double alpha, beta;                     // of the step to come
  double shift, mean;                     // what it takes from free entries of r, and of z
  std::int32_t products, boundary, over;  // over: nothing moves any more
};

struct CgArgs {
  std::int64_t n;
  const double *curvature, *diagonal;
  double *r, *x;      // the right-hand side, which becomes the residual; the step
  double *z, *p, *w;  // scratch; w = S p
  double forcing;     // CG ends where r.z has fallen by its square,
  double radius;      // or |x| reaches it,
  std::int32_t most;  // or after so many products
  bool projects;      // S does not see constants
  Cg* state;
};

/// x = 0; how far r is from a mean of 0.
struct CgStart {
  using Result = Sums<2>;
  CgArgs a;

  MONGE_HOST_DEVICE Result operator()(std::int64_t j) const {
    a.x[j] = a.p[j] = 0;
    return a.curvature[j] > 0 ? Result{{a.r[j], 1}} : Result{};
  }
  MONGE_HOST_DEVICE void finish(const Result& all) const {
    const auto [sum, count] = all.value;
    *a.state = {};
    a.state->shift = a.projects && count > 0 ? sum / count : 0;
  }
};

/// x and r, as the last product said.
struct CgMove {
  CgArgs a;

  MONGE_HOST_DEVICE void operator()(std::int64_t j) const {
    const Cg& cg = *a.state;
    if (cg.over) return;
    if (cg.alpha != 0) {
      a.x[j] += cg.alpha * a.p[j];
      a.r[j] -= cg.alpha * a.w[j];
    }
    if (a.curvature[j] > 0) a.r[j] -= cg.shift;
  }
};

/// Behind z = M^-1 r: the direction to come.
struct CgTurn {
  using Result = Sums<5>;
  CgArgs a;

  MONGE_HOST_DEVICE Result operator()(std::int64_t j) const {
    const double r = a.r[j], z = a.z[j];
    if (!(a.curvature[j] > 0)) return {};
    return {{r * z, a.state->alpha != 0 ? a.w[j] * z : 0, z, r, 1}};
  }
  MONGE_HOST_DEVICE void finish(const Result& all) const {
    Cg& cg = *a.state;
    if (cg.over) return;
    const auto [rz, wz, sum_z, sum_r, count] = all.value;
    cg.mean = a.projects && count > 0 ? sum_z / count : 0;
    const double next = rz - cg.mean * sum_r, turned = -cg.alpha * wz - cg.shift * sum_z;
    if (cg.products == 0) cg.enough = a.forcing * a.forcing * next;
    cg.beta = cg.products == 0 ? 0 : turned / cg.rz;
    cg.rz = next;
    cg.over = cg.boundary || !(next > cg.enough) || cg.products >= a.most;
  }
};

struct CgDirection {
  CgArgs a;

  MONGE_HOST_DEVICE void operator()(std::int64_t j) const {
    const Cg& cg = *a.state;
    if (!cg.over) a.p[j] = a.curvature[j] > 0 ? a.z[j] - cg.mean + cg.beta * a.p[j] : 0;
  }
};

/// w = S p from A p, and how far to go along p.
struct CgSchur {
  struct Result {
    double curved = 0, sum = 0, count = 0;
    double inverse = 0;  // 1 over the largest alpha within the radius; 0: none is too large

    MONGE_HOST_DEVICE Result& operator+=(const Result& other) {
      curved += other.curved;
      sum += other.sum;
      count += other.count;
      if (!(other.inverse <= inverse)) inverse = other.inverse;  // a NaN stays seen
      return *this;
    }
  };
  CgArgs a;

  MONGE_HOST_DEVICE Result operator()(std::int64_t j) const {
    if (!(a.curvature[j] > 0)) return a.w[j] = 0, Result{};
    const double p = a.p[j], w = a.curvature[j] * p - a.w[j], step = std::fabs(p);
    a.w[j] = w;
    const double room = std::fmax(p > 0 ? a.radius - a.x[j] : a.radius + a.x[j], 0.0);
    return {p * w, w, 1, step > 0 ? step / room : 0};
  }
  MONGE_HOST_DEVICE void finish(const Result& all) const {
    Cg& cg = *a.state;
    if (cg.over) return;
    ++cg.products;
    cg.alpha = cg.rz / all.curved;
    cg.boundary = !(all.curved > 0) || !(cg.alpha * all.inverse < 1);
    if (cg.boundary) cg.alpha = all.inverse > 0 && std::isfinite(all.inverse) ? 1 / all.inverse : 0;
    cg.shift = a.projects && all.count > 0 ? -cg.alpha * all.sum / all.count : 0;
  }
};

/// CG by a host: product() writes A p to w, precondition() z.
template <class Product, class Precondition>
void conjugate_gradients(const CgArgs& a, const Product& product, const Precondition& precondition,
                         Exec& exec) {
  kernels::settle(CgStart{a}, a.n, exec);
  for (;;) {
    kernels::each(CgMove{a}, a.n, exec);
    precondition();
    kernels::settle(CgTurn{a}, a.n, exec);
    kernels::each(CgDirection{a}, a.n, exec);
    Cg now;
    copy(&now, Device{}, a.state, exec.device, sizeof now, exec.stream);
    if (now.over) return;
    product();
    kernels::settle(CgSchur{a}, a.n, exec);
  }
}
}  // namespace monge::kernels

#define MONGE_CG_EACH_BODIES(X) X(CgMove) X(CgDirection)
#define MONGE_CG_SETTLE_BODIES(X) X(CgStart) X(CgTurn) X(CgSchur)
