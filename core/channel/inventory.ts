import {
  ALLOWANCE,
  GuestPath,
  type InventoryLine,
  type InventoryRequest,
  ProtocolError,
  type WireBytes,
} from '../../protocol/index.ts';

/** Bytes of one file name (NAME_MAX). */
const NAME_BYTES = 255;

/** Holds an inventory to its budget, so that a guest cannot list for ever, and checks every path in it. */
export class InventoryCheck {
  private files = 0;
  private lines = 0;
  private readonly maxEntries: number;

  constructor({ maxEntries }: InventoryRequest) {
    this.maxEntries = maxEntries;
  }

  /** Throws ProtocolError. */
  check(line: InventoryLine): void {
    if (line.type === 'end') return;
    this.lines++;
    if (line.type === 'directory') {
      GuestPath.of(line.path);
      for (const [name] of line.files) checkName(name);
      this.files += line.files.length;
    }
    if (this.files > this.maxEntries || this.lines > this.maxEntries + ALLOWANCE.inventoryLines) {
      throw new ProtocolError('message-too-large', `a listing goes past its ${this.maxEntries} entries`);
    }
  }
}

function checkName(name: WireBytes): void {
  const fits =
    typeof name === 'string' ? isName(name) : isName(Buffer.from(name.b64, 'base64').toString('latin1'));
  if (!fits) throw new ProtocolError('malformed-path', 'a file name in a listing cannot be one');
}

function isName(name: string): boolean {
  return (
    name !== '' &&
    name !== '.' &&
    name !== '..' &&
    name.length <= NAME_BYTES &&
    !name.includes('/') &&
    !name.includes('\0') &&
    name.isWellFormed()
  );
}
