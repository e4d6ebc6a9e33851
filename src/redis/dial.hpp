// Connecting to a server by its host name or address, or by the path of its unix socket.
#pragma once

#include <cstdint>
#include <string>

#include "src/redis/progress_timeout.hpp"
#include "src/system/descriptor.hpp"

namespace memolock {

/// Connects, and returns the socket, which is non-blocking and close-on-exec. The addresses of a
/// name are tried in parallel (RFC 8305): the next one is tried as soon as the previous one refuses
/// or has been silent for a moment. The first one that accepts is used. `limit` bounds all of this,
/// including the look-up of the name. Throws Error(store), with a message worded to follow the
/// server's name ("connection refused"), and Error(interrupted).
[[nodiscard]] Descriptor dial_tcp(const std::string& host, uint16_t port, ProgressTimeout& limit);

/// The same for a unix socket.
[[nodiscard]] Descriptor dial_unix(const std::string& path, ProgressTimeout& limit);

}  // namespace memolock
