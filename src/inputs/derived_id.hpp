// Ids that are derived from the inputs of a command.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace memolock {

/// One of the parts from which an id is derived.
struct KeyPart {
  std::string_view kind;  ///< such as "word" or "file"; a literal
  std::string name;       ///< for messages
  std::string digest;     ///< digest_of() its content; never the content itself
};

/// The hash of a list of words and their lengths: 256 bits in hexadecimal digits.
[[nodiscard]] std::string digest_of(const std::vector<std::string_view>& words);

/// The readable prefix of a derived id: the name of a command, in which all characters but
/// unreserved ones are replaced.
[[nodiscard]] std::string id_stem(std::string_view command);

/// "STEM-HASH", where HASH is the hash of the kinds and digests in their order. The same on every
/// machine. A stem that would make the id too long is truncated.
[[nodiscard]] std::string derive_id(std::string_view stem, const std::vector<KeyPart>& parts);

}  // namespace memolock
