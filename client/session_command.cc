#include "client/session_command.h"

#include <google/protobuf/util/json_util.h>

#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "base/suggest.h"
#include "client/client.h"
#include "client/duration.h"
#include "client/input_file.h"
#include "client/interrupt.h"
#include "client/output.h"
#include "client/profile_command.h"
#include "client/profile_setting.h"
#include "client/render.h"

namespace mneme::client {
namespace {

// The most a server gives at once.
constexpr int kPageSize = 1000;

std::string NamespaceName(const std::string& name) {
  if (name.empty()) return "namespaces/default";
  return name.rfind("namespaces/", 0) == 0 ? name : "namespaces/" + name;
}

absl::StatusOr<v1::ListSessionsResponse> ListAll(Client& client,
                                                 const std::string& parent) {
  v1::ListSessionsRequest request;
  request.set_parent(parent);
  request.set_page_size(kPageSize);
  v1::ListSessionsResponse all;
  do {
    ASSIGN_OR_RETURN(v1::ListSessionsResponse page,
                     client.ListSessions(request));
    all.mutable_sessions()->MergeFrom(page.sessions());
    // A server that repeats a token would have us ask for ever.
    if (!page.next_page_token().empty() &&
        page.next_page_token() == request.page_token()) {
      return absl::InternalError("the server gave the same page token twice");
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return all;
}

absl::StatusOr<v1::Profile> ReadProfile(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string json, ReadTextFile(path));
  if (const absl::Status known = CheckKeys(json); !known.ok()) {
    return base::Annotate(known, path);
  }
  v1::Profile profile;
  const auto status =
      google::protobuf::util::JsonStringToMessage(json, &profile);
  if (!status.ok()) {
    return base::InvalidField(
        "--profile-file",
        absl::StrCat(path, ", which says ", std::string(status.message())),
        "a profile in protobuf JSON");
  }
  return profile;
}

// A session too damaged to be opened is a finding too, and must not hide what
// is wrong with the next one.
absl::StatusOr<v1::VerifyResponse> Verify(Client& client,
                                          const std::string& name) {
  auto response = client.Verify(name);
  if (!absl::IsDataLoss(response.status())) return response;
  v1::VerifyResponse damaged;
  v1::VerifyCheck& check = *damaged.add_checks();
  check.set_name("open");
  check.set_checked(1);
  check.set_detail(std::string(response.status().message()));
  return damaged;
}

// How the server ends what it says of a missing session.
constexpr char kCreateIt[] = "; create it first";

}  // namespace

absl::Status WithNearestSession(const absl::Status& status, Context& context) {
  const base::ErrorDetail detail = base::DetailOf(status);
  const auto named = detail.metadata.find("session");
  if (detail.reason != "SESSION_NOT_FOUND" || named == detail.metadata.end()) {
    return status;
  }
  const std::string parent =
      named->second.substr(0, named->second.find("/sessions/"));
  v1::ListSessionsRequest request;
  request.set_parent(parent);
  request.set_page_size(kPageSize);  // Of more, the first are looked at.
  const auto client = context.Open();
  if (!client.ok()) return status;
  const auto known = (*client)->ListSessions(request);
  if (!known.ok()) return status;
  std::vector<std::string> names;
  for (const v1::Session& session : known->sessions()) {
    names.push_back(ShortName(session.name()));
  }
  std::string hint = base::DidYouMean(ShortName(named->second), names);
  if (hint.empty()) {
    hint = absl::StrCat(" (`mneme sessions ",
                        parent.substr(parent.find('/') + 1), "` lists them)");
  }
  std::string message(status.message());
  const size_t create = message.rfind(kCreateIt);
  if (create != std::string::npos) message.resize(create);
  return base::Error(status.code(), message + hint, detail);
}

absl::StatusOr<int> RunCreate(const CreateOptions& options, Context& context) {
  const bool has_file = !options.profile_file.empty();
  if (has_file && !options.profile.empty()) {
    return base::InvalidField("--profile-file", "--profile too", "one of them");
  }
  const std::string preset = options.profile.empty() ? "text" : options.profile;
  v1::Profile profile;
  if (has_file) {
    ASSIGN_OR_RETURN(profile, ReadProfile(options.profile_file));
  } else {
    profile.set_preset(preset);
  }
  ASSIGN_OR_RETURN(Client * client, context.OpenOrCreate());
  if (!options.settings.empty()) {
    ASSIGN_OR_RETURN(profile, WithSettings(std::move(profile), options.settings,
                                           [&](const std::string& name) {
                                             return FindPreset(*client, name);
                                           }));
  }
  v1::CreateSessionRequest request;
  request.set_session(SessionName(options.session));
  if (options.ttl) {
    ASSIGN_OR_RETURN(*request.mutable_ttl(),
                     ParseDuration(*options.ttl, "--ttl"));
  }
  if (has_file || !options.settings.empty()) {
    *request.mutable_profile() = profile;
  } else {
    request.set_profile_name(preset);
  }
  const auto session = client->CreateSession(request);
  if (!session.ok()) {
    return WithNearestPreset(*client, profile.preset(), session.status());
  }
  if (context.json()) {
    context.out() << ToJson(*session) << std::endl;
  } else {
    RenderSession(*session, context.out());
  }
  return kExitOk;
}

absl::StatusOr<int> RunSessions(const std::string& name_space,
                                Context& context) {
  const std::string parent = NamespaceName(name_space);
  ASSIGN_OR_RETURN(Client * client, context.Open());
  ASSIGN_OR_RETURN(const v1::ListSessionsResponse sessions,
                   ListAll(*client, parent));
  if (context.json()) {
    context.out() << ToJson(sessions) << std::endl;
  } else if (sessions.sessions().empty()) {
    context.err() << "no sessions in " << parent << std::endl;
  } else {
    RenderSessions(sessions, context.out());
  }
  return kExitOk;
}

absl::StatusOr<int> RunShow(const std::string& session, Context& context) {
  ASSIGN_OR_RETURN(Client * client, context.Open());
  ASSIGN_OR_RETURN(const v1::Session shown,
                   client->GetSession(SessionName(session)));
  if (context.json()) {
    context.out() << ToJson(shown) << std::endl;
  } else {
    RenderSession(shown, context.out());
  }
  return kExitOk;
}

absl::StatusOr<int> RunStats(const std::string& session, Context& context) {
  ASSIGN_OR_RETURN(Client * client, context.Open());
  ASSIGN_OR_RETURN(const v1::StatsResponse stats,
                   client->Stats(session.empty() ? "" : SessionName(session)));
  if (context.json()) {
    context.out() << ToJson(stats) << std::endl;
  } else {
    RenderStats(stats, context.out());
  }
  return kExitOk;
}

absl::StatusOr<int> RunCommit(const std::string& session, uint32_t keep,
                              Context& context) {
  v1::CommitWindowRequest request;
  request.set_session(SessionName(session));
  request.set_keep_tokens(keep);
  ASSIGN_OR_RETURN(Client * client, context.Open());
  ASSIGN_OR_RETURN(const v1::CommitWindowResponse response,
                   client->CommitWindow(request));
  if (context.json()) {
    context.out() << ToJson(response) << std::endl;
  } else {
    context.out() << "committed " << response.committed_tokens()
                  << " tokens; now " << response.window_tokens()
                  << " in the window, " << response.knn_tokens()
                  << " in the knn tier" << std::endl;
    if (response.committed_tokens() > 0 && response.knn_tokens() == 0) {
      context.err() << "no kNN tier holds what was committed: it is read by "
                       "attention no more, but for sinks and what compressive "
                       "memory has absorbed"
                    << std::endl;
    }
  }
  return kExitOk;
}

absl::StatusOr<int> RunVerify(const VerifyOptions& options, Context& context) {
  if (!options.all && options.session.empty()) {
    return base::InvalidField("verify", "nothing", "SESSION or --all");
  }
  ASSIGN_OR_RETURN(Client * client, context.Open(kLongCallDeadline));
  std::vector<std::string> names;
  if (options.all) {
    ASSIGN_OR_RETURN(const v1::ListSessionsResponse sessions,
                     ListAll(*client, NamespaceName(options.session)));
    for (const v1::Session& session : sessions.sessions()) {
      names.push_back(session.name());
    }
    if (names.empty()) {
      // A misspelt namespace must not look like a clean one.
      return base::Error(
          absl::StatusCode::kNotFound,
          absl::StrCat("no sessions in ", NamespaceName(options.session),
                       ": nothing was verified"),
          {.reason = "NO_SESSIONS"});
    }
  } else {
    names.push_back(SessionName(options.session));
  }
  const LastWords words("what was not verified yet is not known to be clean");
  bool clean = true;
  std::map<std::string, uint64_t> checked;  // By the name of the check.
  auto report = nlohmann::ordered_json::array();
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(const v1::VerifyResponse response, Verify(*client, name));
    clean &= response.clean();
    for (const v1::VerifyCheck& check : response.checks()) {
      checked[check.name()] += check.checked();
    }
    if (context.json()) {
      nlohmann::ordered_json session = {{"session", name}};
      session.update(nlohmann::ordered_json::parse(ToJson(response)));
      report.push_back(std::move(session));
    } else {
      RenderVerify(name, response, context.out());
      context.out() << std::flush;
    }
  }
  if (context.json()) {
    const nlohmann::ordered_json all = {{"clean", clean}, {"sessions", report}};
    context.out() << (options.all ? all : report[0]).dump() << std::endl;
  } else if (options.all) {
    context.out() << names.size() << " sessions, "
                  << (clean ? "all clean" : "NOT ALL CLEAN") << ", checked";
    for (const auto& [name, count] : checked) {
      context.out() << " " << Printable(name) << " " << count;
    }
    context.out() << std::endl;
  }
  return clean ? kExitOk : kExitNotClean;
}

}  // namespace mneme::client
