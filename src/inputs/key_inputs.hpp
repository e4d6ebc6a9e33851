// What the id of an entry is made of.
//
// The parts, in this order: the id that the caller has given, or else the words of the command; the
// working directory; the variables; the files and directories; standard input. Each has a kind and
// a digest, and the id is derive_id of them: the same on every machine for the same parts.
//
//   id, word      digest_of(KIND, TEXT), a word for each of the command
//   directory     digest_of("directory", PATH)
//   env, unset    digest_of("env", NAME, VALUE), or digest_of("unset", NAME)
//   file, folder  as src/inputs/content_hash.hpp says; its path does not count
//   stdin         as that of a file with these bytes
#pragma once

#include <string>
#include <vector>

#include "src/inputs/derived_id.hpp"
#include "src/system/descriptor.hpp"

namespace memolock {

/// What the caller wants to be part of the id beside an id or a command (--key-…).
struct KeyInputs {
  enum class Directory { by_default, counts, left_out };  ///< by default: counts without an id

  Directory directory = Directory::by_default;
  std::vector<std::string> variables;  ///< names; neither their order nor repetition counts
  std::vector<std::string> files;      ///< paths of files and directories; their order counts
  bool standard_input = false;
};

struct DerivedId {
  std::string id;
  /// To be shown: the parts, and after a directory all that it holds. Empty if the id is the one
  /// that was given.
  std::vector<KeyPart> parts;
  Descriptor input;   ///< all of stdin, at its start, if stdin is part of the id; else empty
  std::string fault;  ///< why the working directory is missing from the id; "": it is not
};

/// Derives the id. Reads stdin to its end if that is part of it, and blocks meanwhile. The
/// caller has to check that `id` or `command` is not empty. Throws Error(usage) for an input that
/// cannot be read, and Error(store) if stdin cannot be kept in a temporary file.
[[nodiscard]] DerivedId identify(const std::string& id, const std::vector<std::string>& command,
                                 const KeyInputs& inputs);

}  // namespace memolock
