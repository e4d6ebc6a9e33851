// Connecting to a server by its name, its address or the path of its socket.
#pragma once

#include <cstdint>
#include <string>

#include "src/redis/progress_timeout.hpp"
#include "src/system/descriptor.hpp"

namespace memolock {

/// A connected stream socket, non-blocking and close-on-exec. All addresses of a name are tried,
/// the next one as soon as one refuses or has been silent for a moment; the first to answer is
/// taken. `limit` bounds it all, the name's look-up included. Throws Error(store), worded to
/// follow the server's name ("connection refused"), and Error(interrupted).
[[nodiscard]] Descriptor dial_tcp(const std::string& host, uint16_t port, ProgressTimeout& limit);

/// The same for a unix socket. Throws likewise.
[[nodiscard]] Descriptor dial_unix(const std::string& path, ProgressTimeout& limit);

}  // namespace memolock
