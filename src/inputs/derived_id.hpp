// An id that is derived from what a command depends on.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace memolock {

/// One of the things that an id is made of.
struct KeyPart {
  std::string_view kind;  ///< "word", "file" and so on; a literal
  std::string name;       ///< for people
  std::string digest;     ///< of all that counts, as from digest_of; never the thing itself
};

/// The hash of some words and of the borders between them: 256 bits in hexadecimal digits.
[[nodiscard]] std::string digest_of(const std::vector<std::string_view>& words);

/// What the people who read `memolock ls` know a command by: its name, made of harmless letters.
[[nodiscard]] std::string id_stem(std::string_view command);

/// "STEM-HASH", HASH being that of the kinds and digests in their order: the same on every machine.
/// A stem that would make it too long for an id is cut.
[[nodiscard]] std::string derive_id(std::string_view stem, const std::vector<KeyPart>& parts);

}  // namespace memolock
