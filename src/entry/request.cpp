#include "src/entry/request.hpp"

namespace memolock {

const char* name_of(OutcomeKind kind) {
  switch (kind) {
    case OutcomeKind::hit:
      return "hit";
    case OutcomeKind::miss:
      return "miss";
    case OutcomeKind::ran:
      return "ran";
    case OutcomeKind::skipped:
      return "skipped";
    case OutcomeKind::waited:
      return "waited";
    case OutcomeKind::stale:
      return "stale";
    case OutcomeKind::bypass:
      return "bypass";
    case OutcomeKind::absent:
      return "absent";
    case OutcomeKind::timeout:
      return "timeout";
    case OutcomeKind::interrupted:
      return "interrupted";
    case OutcomeKind::error:
      return "error";
    case OutcomeKind::background:
      return "background";
  }
  return "";
}

}  // namespace memolock
