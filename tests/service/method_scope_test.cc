#include "service/method_scope.h"

#include <google/protobuf/descriptor.h>

#include <string>

#include "gtest/gtest.h"
#include "mneme/v1/admin_service.pb.h"
#include "mneme/v1/memory_service.pb.h"
#include "mneme/v1/transfer_service.pb.h"

namespace mneme::service {
namespace {

using google::protobuf::ServiceDescriptor;

const ServiceDescriptor& ServiceIn(
    const google::protobuf::FileDescriptor* file) {
  return *file->service(0);
}

const ServiceDescriptor& Memory() {
  return ServiceIn(v1::AppendRequest::descriptor()->file());
}

TEST(MethodScope, EveryMethodOfEveryServiceIsListed) {
  for (const ServiceDescriptor* service :
       {&Memory(), &ServiceIn(v1::CompactRequest::descriptor()->file()),
        &ServiceIn(v1::ExportSessionRequest::descriptor()->file())}) {
    for (int i = 0; i < service->method_count(); ++i) {
      EXPECT_TRUE(HasScope(service->method(i)->name()))
          << service->method(i)->full_name();
    }
  }
}

TEST(MethodScope, AMethodThatIsNotListedIsTheOperators) {
  EXPECT_FALSE(HasScope("Surprise"));
  EXPECT_EQ(ScopeOf("Surprise").scope, Scope::kAdmin);
  EXPECT_EQ(ScopeOf("Surprise").where, Where::kEverywhere);
}

TEST(MethodScope, EverythingOfTheAdminServiceIsTheOperators) {
  const ServiceDescriptor& admin =
      ServiceIn(v1::CompactRequest::descriptor()->file());
  for (int i = 0; i < admin.method_count(); ++i) {
    const MethodScope needs = ScopeOf(admin.method(i)->name());
    EXPECT_EQ(needs.scope, Scope::kAdmin) << admin.method(i)->name();
    EXPECT_EQ(needs.where, Where::kEverywhere) << admin.method(i)->name();
  }
}

TEST(MethodScope, WhatTakesAwayNeedsAdminAndWhatAddsAppend) {
  for (const char* method :
       {"Forget", "UpdateSession", "DeleteSession", "DeleteNamespace"}) {
    EXPECT_EQ(ScopeOf(method).scope, Scope::kAdmin) << method;
  }
  for (const char* method : {"Append", "CreateSession", "ForkSession",
                             "CommitWindow", "ImportSession"}) {
    EXPECT_EQ(ScopeOf(method).scope, Scope::kAppend) << method;
  }
}

// A request of a method that needs a scope by name must have a name.
TEST(MethodScope, WhatReadsAndChangesIsBoundToANamespace) {
  for (int i = 0; i < Memory().method_count(); ++i) {
    const std::string name = Memory().method(i)->name();
    if (name == "GetProfile" || name == "ListProfiles" || name == "Stats") {
      continue;
    }
    EXPECT_EQ(ScopeOf(name).where, Where::kNamed) << name;
    EXPECT_GE(ScopeOf(name).scope, Scope::kRead) << name;
  }
}

}  // namespace
}  // namespace mneme::service
