// The findings of `doctor` about a store.
#pragma once

#include <string>
#include <vector>

namespace memolock {

struct Finding {
  enum class Severity {
    ok,
    advice,  ///< the store works, but something could be better or is not known
    fail,    ///< the store does not work
  };
  Severity severity = Severity::ok;
  std::string subject;  ///< the subject, one or two words
  std::string text;     ///< the finding; may contain arbitrary bytes from a server or a path
  std::string remedy;   ///< what to do about it; empty for `ok`

  bool operator==(const Finding&) const = default;
};

struct Examination {
  std::vector<Finding> findings;
  /// The smallest set of permissions that a server's user needs, as arguments of ACL SETUSER after
  /// the user's name and password; empty for a store without such users.
  std::string acl_rule;
};

}  // namespace memolock
