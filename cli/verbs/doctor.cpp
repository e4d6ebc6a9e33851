#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cli/json.hpp"
#include "cli/output.hpp"
#include "cli/store_choice.hpp"
#include "cli/verbs/verbs.hpp"
#include "src/store/directory.hpp"
#include "src/system/error.hpp"
#include "src/system/exit_status.hpp"
#include "src/system/text.hpp"

namespace memolock {
namespace {

struct Visit {
  std::string store;  ///< its URL, without a password
  Examination examination;
};

bool has_failed(const std::vector<Finding>& findings) {
  return std::any_of(findings.begin(), findings.end(), [](const Finding& finding) {
    return finding.severity == Finding::Severity::fail;
  });
}

/// Examines the store that the options name. Errors in the settings become findings too.
Visit visit(const Options& options, const Log& log) {
  try {
    const StoreChoice choice = choose_store(options, {}, log);
    std::vector<Finding> repairs;
    if (options.fix) repairs = repair(choice);
    Examination examination = examine(choice, options.tag, log);
    auto& findings = examination.findings;
    if (has_failed(repairs))  // the same repair would fail again
      for (Finding& finding : findings)
        if (finding.remedy.find("doctor --fix") != std::string::npos)
          finding.remedy = std::string(choose_another_directory);
    findings.insert(findings.begin(), repairs.begin(), repairs.end());
    return {without_password(choice.url), std::move(examination)};
  } catch (const Error& error) {
    if (error.kind() != Error::Kind::store) throw;
    return {without_password(options.store),
            {{{Finding::Severity::fail, "settings", error.what(),
               "correct the option, variable or file that it names"}},
             ""}};
  }
}

bool is_usable(const Examination& examination) { return !has_failed(examination.findings); }

/// The reader of the output. For a person, "fail" is written in capitals.
enum class Reader { person, program };

const char* name_of(Finding::Severity severity, Reader reader) {
  switch (severity) {
    case Finding::Severity::ok:
      return "ok";
    case Finding::Severity::advice:
      return "advice";
    case Finding::Severity::fail:
      return reader == Reader::person ? "FAIL" : "fail";
  }
  return "";
}

std::string line_of(const Finding& finding) {
  const std::string remedy = finding.remedy.empty() ? "" : "; " + finding.remedy;
  return fmt::format("{:<8}{:<12}{}\n", name_of(finding.severity, Reader::person), finding.subject,
                     escape_controls(finding.text + remedy));
}

std::string text_of(const Examination& examination) {
  std::string text;
  for (const Finding& finding : examination.findings) text += line_of(finding);
  if (!examination.acl_rule.empty())
    text += fmt::format("{:<8}{:<12}{}\n", "", "ACL rule", escape_controls(examination.acl_rule));
  return text;
}

Json json_of(const Finding& finding) {
  Json json;
  json.set("level", name_of(finding.severity, Reader::program));
  json.set("subject", finding.subject);
  json.set("message", finding.text);
  json.set("remedy", finding.remedy.empty() ? Json() : Json(finding.remedy));
  return json;
}

std::string document_of(const Visit& visit, const std::string& tag) {
  Json findings = Json::array();
  for (const Finding& finding : visit.examination.findings) findings.append(json_of(finding));
  Json json;
  json.set("store", visit.store);
  json.set("tag", tag);
  json.set("usable", is_usable(visit.examination));
  json.set("findings", std::move(findings));
  const std::string& rule = visit.examination.acl_rule;
  json.set("acl_rule", rule.empty() ? Json() : Json(rule));
  return json.text() + "\n";
}

}  // namespace

ProcessEnd run_doctor(const Options& options, const Log& log) {
  const Visit found = visit(options, log);
  print("the findings",
        options.json ? document_of(found, options.tag) : text_of(found.examination));
  return {is_usable(found.examination) ? 0 : exit_status::unfit};
}

}  // namespace memolock
