// Permissions of what is made by mkstemp and mkdtemp, which give none to anybody else.
#pragma once
#include <sys/stat.h>

namespace monge::io {
/// `wanted` less the umask, as open() and mkdir() have it. umask can only be read by setting it.
inline mode_t new_mode(mode_t wanted) {
  const mode_t mask = umask(0);
  umask(mask);
  return wanted & ~mask;
}
}  // namespace monge::io
