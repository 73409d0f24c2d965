// Everything.
#pragma once
#include "monge/info.hpp"
#include "monge/ot/derivatives.hpp"
#include "monge/ot/divergence.hpp"
#include "monge/ot/reference.hpp"
#include "monge/ot/semi_dual.hpp"
#include "monge/store/solution.hpp"
