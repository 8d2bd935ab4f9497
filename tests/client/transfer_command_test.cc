#include "client/transfer_command.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "gtest/gtest.h"
#include "mneme/v1/transfer_service.grpc.pb.h"
#include "nlohmann/json.hpp"
#include "proto/status.h"
#include "tests/client/command_line.h"
#include "tests/client/temporary_dir.h"
#include "tests/client/transfer_fixture.h"

namespace mneme::client {
namespace {

using testing::ExportParts;
using testing::Ran;
using testing::TemporaryDir;

// Gives the parts it has, and keeps those it gets.
class FakeTransfer final : public v1::TransferService::Service {
 public:
  FakeTransfer() {
    grpc::ServerBuilder builder;
    builder.RegisterService(this);
    builder.RegisterService(&memory_);
    server_ = builder.BuildAndStart();
  }
  ~FakeTransfer() override { server_->Shutdown(); }

  grpc::Status ExportSession(
      grpc::ServerContext* context, const v1::ExportSessionRequest* request,
      grpc::ServerWriter<v1::ExportSessionResponse>* writer) override {
    exported = request->session();
    time_left = context->deadline() - std::chrono::system_clock::now();
    for (const auto& part : parts) {
      if (on_part) on_part();
      if (!writer->Write(part)) break;
    }
    return proto::ToGrpc(answer);
  }

  grpc::Status ImportSession(
      grpc::ServerContext* context,
      grpc::ServerReader<v1::ImportSessionRequest>* reader,
      v1::ImportSessionResponse* response) override {
    time_left = context->deadline() - std::chrono::system_clock::now();
    v1::ImportSessionRequest part;
    bool whole = false;
    while (reader->Read(&part)) {
      if (on_part) on_part();
      got.push_back(part);
      whole = part.has_end();
    }
    if (!answer.ok()) return proto::ToGrpc(answer);
    imported = whole;
    response->set_entries(5);
    response->set_tokens(6);
    return grpc::Status::OK;
  }

  Ran Run(std::vector<std::string> arguments) {
    const ServerHooks hooks = {
        .serve = [](int, const char* const*) { return 99; },
        .open = [&](const std::string&,
                    bool) -> absl::StatusOr<EmbeddedServer> {
          return EmbeddedServer{server_->InProcessChannel({}), nullptr};
        }};
    arguments.insert(arguments.begin(), {"--data", "fake"});
    return testing::RunWithHooks(arguments, hooks);
  }

  ExportParts parts;
  absl::Status answer;
  std::function<void()> on_part;
  std::string exported;
  std::chrono::system_clock::duration time_left = {};  // Of the last call.
  std::vector<v1::ImportSessionRequest> got;
  bool imported = false;

 private:
  v1::MemoryService::Service memory_;  // Implements nothing.
  std::unique_ptr<grpc::Server> server_;
};

TEST(TransferCommand, WritesWhatTheServerGivesAndSendsItBack) {
  for (const ExportParts& parts :
       {testing::TextExport(), testing::TokensExport()}) {
    FakeTransfer fake;
    TemporaryDir dir;
    fake.parts = parts;
    const Ran out = fake.Run({"export", "s", "--out", dir.Path("out")});
    ASSERT_EQ(out.code, kExitOk) << out.err;
    EXPECT_EQ(fake.exported, "namespaces/default/sessions/s");
    EXPECT_NE(out.out.find(" tokens, "), std::string::npos) << out.out;
    EXPECT_EQ(dir.FileCount(), 1u);
    const Ran in =
        fake.Run({"import", dir.Path("out"), "--session", "team/copy"});
    ASSERT_EQ(in.code, kExitOk) << in.err;
    EXPECT_EQ(in.out, "team/copy: 5 entries, 6 tokens\n");
    ASSERT_GE(fake.got.size(), 3u);
    EXPECT_TRUE(fake.imported);
    EXPECT_EQ(fake.got[0].start().session(), "namespaces/team/sessions/copy");
    EXPECT_EQ(fake.got[0].start().manifest().SerializeAsString(),
              parts[0].manifest().SerializeAsString());
    EXPECT_EQ(fake.got.back().end().SerializeAsString(),
              parts.back().end().SerializeAsString());
  }
}

TEST(TransferCommand, AStreamTakesItsTimeUnlessTheCallerSaysOtherwise) {
  constexpr auto kDay = std::chrono::hours(24);
  FakeTransfer fake;
  TemporaryDir dir;
  fake.parts = testing::TextExport();
  fake.Run({"export", "s", "--out", dir.Path("out")});
  EXPECT_GT(fake.time_left, kDay);
  fake.Run({"import", dir.Path("out")});
  EXPECT_GT(fake.time_left, kDay);
  fake.Run({"import", dir.Path("out"), "--timeout", "60"});
  EXPECT_LT(fake.time_left, std::chrono::minutes(2));
}

TEST(TransferCommand, SpeaksJson) {
  FakeTransfer fake;
  TemporaryDir dir;
  fake.parts = testing::TextExport();
  const auto out = nlohmann::json::parse(
      fake.Run({"export", "s", "--out", dir.Path("out"), "-o", "json"}).out);
  EXPECT_EQ(out["entries"], 2);
  EXPECT_EQ(out["tokens"], 3);
  EXPECT_EQ(out["files"], 3);
  const auto in = nlohmann::json::parse(
      fake.Run({"import", dir.Path("out"), "-o", "json"}).out);
  EXPECT_EQ(in["session"], "namespaces/default/sessions/s");
  EXPECT_EQ(in["dry_run"], false);
}

TEST(TransferCommand, ADryRunAsksNoServer) {
  FakeTransfer fake;
  TemporaryDir dir;
  fake.parts = testing::TokensExport();
  ASSERT_EQ(fake.Run({"export", "s", "--out", dir.Path("out")}).code, kExitOk);
  const Ran ran = fake.Run({"import", dir.Path("out"), "--dry-run"});
  EXPECT_EQ(ran.code, kExitOk) << ran.err;
  EXPECT_EQ(ran.out, "would import s: 0 entries, 17 tokens\n");
  EXPECT_TRUE(fake.got.empty());
  dir.Write("out/session.json", "{}");
  const Ran spoiled = fake.Run({"import", dir.Path("out"), "--dry-run"});
  EXPECT_EQ(spoiled.code, kExitUsage);
  EXPECT_NE(spoiled.err.find("session.json"), std::string::npos);
}

TEST(TransferCommand, AnErrorOfTheServerLeavesNoDirectory) {
  FakeTransfer fake;
  TemporaryDir dir;
  fake.parts = {testing::TextExport()[0]};
  fake.answer = absl::NotFoundError("no such session");
  const Ran out = fake.Run({"export", "s", "--out", dir.Path("out")});
  EXPECT_EQ(out.code, kExitNotFound) << out.err;
  EXPECT_EQ(dir.FileCount(), 0u);
  fake.answer = absl::OkStatus();  // But there is no end.
  EXPECT_EQ(fake.Run({"export", "s", "--out", dir.Path("out")}).code,
            kExitFailed);
  EXPECT_EQ(dir.FileCount(), 0u);
}

TEST(TransferCommand, AnErrorOfTheServerIsThatOfAnImport) {
  FakeTransfer fake;
  TemporaryDir dir;
  fake.parts = testing::TextExport();
  ASSERT_EQ(fake.Run({"export", "s", "--out", dir.Path("out")}).code, kExitOk);
  fake.answer = base::Error(absl::StatusCode::kAlreadyExists, "it is there",
                            {.reason = "SESSION_EXISTS"});
  const Ran ran = fake.Run({"import", dir.Path("out")});
  EXPECT_EQ(ran.code, kExitRefused);
  EXPECT_NE(ran.err.find("it is there"), std::string::npos);
}

TEST(TransferCommand, CtrlCLeavesNothing) {
  FakeTransfer fake;
  TemporaryDir dir;
  fake.parts = testing::TokensExport();
  ASSERT_EQ(fake.Run({"export", "s", "--out", dir.Path("whole")}).code,
            kExitOk);
  // Once: a second one would end the process.
  fake.on_part = [pressed = false]() mutable {
    if (!std::exchange(pressed, true)) std::raise(SIGINT);
  };
  fake.parts.insert(fake.parts.begin() + 1, 100, fake.parts[1]);
  const Ran out = fake.Run({"export", "s", "--out", dir.Path("out")});
  EXPECT_EQ(out.code, kExitInterrupted) << out.err;
  EXPECT_NE(out.err.find("interrupted: there is no "), std::string::npos);
  EXPECT_EQ(dir.FileCount(), 1u);
}

TEST(TransferCommand, TargetsThatCannotBeAreNamed) {
  FakeTransfer fake;
  TemporaryDir dir;
  fake.parts = testing::TextExport();
  const std::string taken = dir.Write("taken", "x");
  EXPECT_EQ(fake.Run({"export", "s", "--out", taken}).code, kExitRefused);
  EXPECT_EQ(fake.Run({"export", "s"}).code, kExitUsage);
  EXPECT_EQ(fake.Run({"import"}).code, kExitUsage);
  EXPECT_EQ(fake.Run({"import", dir.Path("nothing")}).code, kExitNotFound);
  EXPECT_EQ(fake.Run({"import", taken}).code, kExitNotFound);
  const Ran typo = fake.Run({"exprt", "s"});
  EXPECT_NE(typo.err.find("did you mean \"export\"?"), std::string::npos);
}

}  // namespace
}  // namespace mneme::client
