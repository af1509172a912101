import { Node } from '@aloft/idl/flyteidl/core/workflow';

/** Decoded nodes kept at least, and half of those kept at most. */
const keptNodes = 1024;

/**
 * The nodes of a workflow, encoded one behind the other. Those that are asked for are decoded, and kept until enough others were: while a node begins
 * it is asked for several times, later hardly ever.
 */
export class PackedNodes {
  /** How many were decoded: what tests count instead of time. */
  decoded = 0;
  private young = new Map<number, Node>();
  private old = new Map<number, Node>();

  constructor(
    private readonly bytes: Uint8Array,
    /** Where each ends. */
    private readonly ends: Int32Array,
  ) {}

  get(at: number): Node {
    let node = this.young.get(at);
    if (node) return node;
    node = this.old.get(at) ?? this.decode(at);
    this.young.set(at, node);
    if (this.young.size < keptNodes) return node;
    this.old = this.young;
    this.young = new Map();
    return node;
  }

  private decode(at: number): Node {
    this.decoded++;
    return Node.decode(this.bytes.subarray(at === 0 ? 0 : this.ends[at - 1]!, this.ends[at]));
  }
}
