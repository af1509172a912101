import { Identifier, ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import type { LaunchPlanList } from '@aloft/idl/flyteidl/admin/launch_plan';
import { Timestamp } from '@aloft/idl/google/protobuf/timestamp';
import { Encoded } from '@aloft/rpc';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { identifierOf, type EntityKey } from '../registry/identifiers.js';
import { timestampOf } from '../time.js';

/** What a list shows of a launch plan, its messages encoded as they are stored. */
export interface ListedLaunchPlan extends EntityKey {
  spec: Uint8Array;
  state: number;
  expectedInputs: Uint8Array;
  expectedOutputs: Uint8Array;
  createdAt: Date;
  updatedAt: Date;
}

const tag = (field: number, type = WireType.LengthDelimited): number => (field << 3) | type;

/** Fields of flyteidl's messages, by number. */
const ofList = { launchPlans: tag(1), token: tag(2) };
const ofPlan = { id: tag(1), spec: tag(2), closure: tag(3) };
const ofClosure = {
  state: tag(1, WireType.Varint),
  expectedInputs: tag(2),
  expectedOutputs: tag(3),
  createdAt: tag(4),
  updatedAt: tag(5),
};

/** A LaunchPlanList of messages as they are stored: a hundred decoded ones are mostly garbage for the collector. */
export function encodeLaunchPlanList(plans: readonly ListedLaunchPlan[], token: string): Encoded<LaunchPlanList> {
  const list = new BinaryWriter();
  for (const one of plans) {
    const plan = list.uint32(ofList.launchPlans).fork();
    Identifier.encode(identifierOf(one, ResourceType.LAUNCH_PLAN), plan.uint32(ofPlan.id).fork()).join();
    plan.uint32(ofPlan.spec).bytes(one.spec);
    const closure = plan.uint32(ofPlan.closure).fork();
    if (one.state !== 0) closure.uint32(ofClosure.state).int32(one.state);
    closure.uint32(ofClosure.expectedInputs).bytes(one.expectedInputs);
    closure.uint32(ofClosure.expectedOutputs).bytes(one.expectedOutputs);
    Timestamp.encode(timestampOf(one.createdAt), closure.uint32(ofClosure.createdAt).fork()).join();
    Timestamp.encode(timestampOf(one.updatedAt), closure.uint32(ofClosure.updatedAt).fork()).join();
    closure.join();
    plan.join();
  }
  if (token !== '') list.uint32(ofList.token).string(token);
  return new Encoded(Buffer.from(list.finish()));
}
