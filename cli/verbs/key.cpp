#include "cli/output.hpp"
#include "cli/verbs/verbs.hpp"
#include "src/inputs/derived_id.hpp"
#include "src/system/error.hpp"
#include "src/system/text.hpp"

namespace memolock {

ProcessEnd run_key(const Options& options, const Log& log) {
  // An option rule ensures that there is an id or a command, which derive_key_id() requires.
  const DerivedId derived = derive_key_id(options.ids.empty() ? "" : options.ids.back(),
                                          options.words, key_inputs(options));
  if (!derived.error.empty())
    throw usage_error(derived.error + "; without --no-key-cwd it is part of the id");
  // The hash comes first: all hashes have the same length, so differences between two machines are
  // easy to see.
  for (const KeyPart& part : derived.parts)
    log.info("{} {} {}", part.digest, part.kind, escape_controls(part.name));
  print("the id", derived.id + '\n');
  return {};
}

}  // namespace memolock
