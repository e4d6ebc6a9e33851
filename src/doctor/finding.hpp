// What `doctor` finds out about a store.
#pragma once

#include <string>
#include <vector>

namespace memolock {

struct Finding {
  enum class Severity {
    ok,
    advice,  ///< the store does its work, but something could be better or is not known
    fail,    ///< it does not
  };
  Severity level = Severity::ok;
  std::string subject;  ///< what it is about, one or two words
  std::string words;    ///< what is so; may hold anything that a server or a path does
  std::string remedy;   ///< what to do; empty when it is ok

  bool operator==(const Finding&) const = default;
};

struct Examination {
  std::vector<Finding> findings;
  /// The least that a server's user must be allowed, as ACL SETUSER takes it behind the user's name
  /// and password; empty where there are no such users.
  std::string acl_rule;
};

}  // namespace memolock
