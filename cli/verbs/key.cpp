#include "cli/output.hpp"
#include "cli/verbs/verbs.hpp"

namespace memolock {

Exit run_key(const Options& options, const Log& log) {
  const Identity identity = identify(options.ids.empty() ? "" : options.ids.back(), options.command,
                                     options.key);
  // The hash first: it is as long as any other, so what differs between two machines stands out.
  for (const KeyPart& part : identity.parts)
    log.info("{} {} {}", part.digest, part.kind, escape_controls(part.name));
  print("the id", identity.id + '\n');
  return {};
}

}  // namespace memolock
