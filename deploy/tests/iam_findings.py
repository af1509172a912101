"""Prints what parliament finds in IAM policies as JSON: unknown actions, resources that an action does not take, bad ARNs."""

import json
import sys

from parliament import analyze_policy_string

findings = []
for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as policy:
        for finding in analyze_policy_string(policy.read()).findings:
            findings.append(f"{path}: {finding.issue} {finding.detail}")
print(json.dumps(findings))
