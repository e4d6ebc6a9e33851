// Derives the id of an entry from the inputs of its command.
//
// The parts, in this order: the id that the caller has given, or else the words of the command; the
// working directory; the variables; the files and directories; standard input. Each part has a kind
// and a digest. The id is derive_id() of the parts, the same on every machine for the same parts.
//
//   id, word      digest_of(KIND, TEXT); a part "word" for each word of the command
//   directory     digest_of("directory", PATH)
//   env, unset    digest_of("env", NAME, VALUE), or digest_of("unset", NAME)
//   file, folder  see src/inputs/content_hash.hpp; its path has no influence
//   stdin         the same as for a file with these bytes
#pragma once

#include <string>
#include <vector>

#include "src/inputs/derived_id.hpp"
#include "src/system/descriptor.hpp"

namespace memolock {

/// The inputs that are part of the id in addition to the given id or the command (--key-…).
struct KeyInputs {
  enum class Directory { by_default, counts, left_out };  ///< by default: only without a given id

  Directory directory = Directory::by_default;
  std::vector<std::string> variables;  ///< names; their order and repetitions do not matter
  std::vector<std::string> files;      ///< paths of files and directories; the order matters
  bool standard_input = false;
};

struct DerivedId {
  std::string id;
  /// The parts to be shown, each directory followed by everything in it. Empty if the id is the
  /// given one without changes.
  std::vector<KeyPart> parts;
  Descriptor input;   ///< all of stdin, from its start, if stdin is part of the id; else empty
  std::string error;  ///< why the working directory is missing from `id`; "" if it is not
};

/// Derives the id. If stdin is part of it, reads stdin to its end, which may block. Requires that
/// `id` or `command` is not empty. Throws Error(usage) for an input that cannot be read, and
/// Error(store) if stdin cannot be copied to a temporary file.
[[nodiscard]] DerivedId derive_key_id(const std::string& id,
                                      const std::vector<std::string>& command,
                                      const KeyInputs& inputs);

}  // namespace memolock
