// The bodies of each() and sum() that derivatives are written on, by what they are about.
#pragma once
#include "kernels/cotangent_entries.hpp"
#include "kernels/lattice_tangent_entries.hpp"
#include "kernels/linear_entries.hpp"
#include "kernels/move_entries.hpp"
#include "kernels/schur_entries.hpp"

#define MONGE_DERIVATIVE_EACH_BODIES(X) \
  MONGE_LATTICE_TANGENT_EACH_BODIES(X)  \
  MONGE_LINEAR_EACH_BODIES(X)           \
  MONGE_MOVE_EACH_BODIES(X)             \
  MONGE_COTANGENT_EACH_BODIES(X)        \
  MONGE_SCHUR_EACH_BODIES(X)
#define MONGE_DERIVATIVE_SUM_BODIES(X) \
  MONGE_LINEAR_SUM_BODIES(X)           \
  MONGE_MOVE_SUM_BODIES(X)             \
  MONGE_SCHUR_SUM_BODIES(X)
