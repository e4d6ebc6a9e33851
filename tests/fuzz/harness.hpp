// The harnesses, which run code on untrusted bytes: from libFuzzer (./dev fuzz), or from the files
// in corpus/ (replay.cpp).
#pragma once

#include <filesystem>
#include <map>
#include <string_view>

namespace memolock::fuzz {

using Feed = void (*)(std::string_view bytes);

/// Registers a harness under a name, until the program ends.
struct Harness {
  Harness(std::string_view name, Feed feed);
};
[[nodiscard]] const std::map<std::string_view, Feed>& harnesses();

/// Checks what must hold for any bytes. If it does not, prints `what` to stderr and aborts.
void require(bool holds, std::string_view what);

/// Checks that a text can be shown to people: it is one line, and no byte of it moves a cursor.
void require_printable(std::string_view text);

/// A directory for this process, which is removed when the process ends.
[[nodiscard]] const std::filesystem::path& scratch();

}  // namespace memolock::fuzz
