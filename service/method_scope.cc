#include "service/method_scope.h"

#include <algorithm>
#include <iterator>

namespace mneme::service {
namespace {

struct Row {
  std::string_view method;
  MethodScope needs;
};

constexpr MethodScope kAnybody{Scope::kNone, Where::kNamedOrNone};
constexpr MethodScope kRead{Scope::kRead, Where::kNamed};
constexpr MethodScope kAppend{Scope::kAppend, Where::kNamed};
constexpr MethodScope kAdmin{Scope::kAdmin, Where::kNamed};
constexpr MethodScope kOperator{Scope::kAdmin, Where::kEverywhere};

// Who may append can add and never take away: what forgets, deletes or says
// when something is deleted needs admin.
constexpr Row kRows[] = {
    {"GetProfile", kAnybody},
    {"ListProfiles", kAnybody},
    // The server's own counts are shown to those who may read everything.
    {"Stats", {Scope::kRead, Where::kNamedOrNone}},

    {"Recall", kRead},
    {"Attend", kRead},
    {"AssembleContext", kRead},
    {"GetSession", kRead},
    {"ListSessions", kRead},
    {"GetOperation", kRead},
    {"ReadTokens", kRead},
    {"GetCompressiveState", kRead},
    {"Verify", kRead},
    {"ExportSession", kRead},

    {"Append", kAppend},
    // Each step asks for what it does; the stream itself gives nothing.
    {"AttendStream", kAppend},
    {"CreateSession", kAppend},
    {"ForkSession", kAppend},
    {"CommitWindow", kAppend},
    {"ImportSession", kAppend},

    {"Forget", kAdmin},
    {"UpdateSession", kAdmin},
    {"DeleteSession", kAdmin},
    {"DeleteNamespace", kAdmin},

    {"CreateSnapshot", kOperator},
    {"ListSnapshots", kOperator},
    {"DeleteSnapshot", kOperator},
    {"Compact", kOperator},
    {"VerifyForgotten", kOperator},
    {"Diagnose", kOperator},
};

const Row* Find(std::string_view method) {
  const auto* row =
      std::find_if(std::begin(kRows), std::end(kRows),
                   [&](const Row& row) { return row.method == method; });
  return row == std::end(kRows) ? nullptr : row;
}

}  // namespace

MethodScope ScopeOf(std::string_view method) {
  const Row* row = Find(method);
  return row == nullptr ? kOperator : row->needs;
}

bool HasScope(std::string_view method) { return Find(method) != nullptr; }

}  // namespace mneme::service
