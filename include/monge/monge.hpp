// Everything.
#pragma once
#include "monge/info.hpp"
#include "monge/ot/batch.hpp"
#include "monge/ot/derivatives.hpp"
#include "monge/ot/reference.hpp"
