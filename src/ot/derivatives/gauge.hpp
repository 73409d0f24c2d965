// The free constant of potentials whose plan no point relaxes: m_b <a, f> = m_a <b, g>.
#pragma once
#include "ot/derivatives/directions.hpp"

namespace monge {
/// df += s, dg -= s, so that the pair stays in its gauge; nothing where K is regular.
template <class T>
void fix_gauge(const Linear<T>& linear, const Directions<T>& along, Moves<T>& moves, Exec& exec);
}  // namespace monge
