/**
 * A file from a stranger, read by offset. What lies outside of it, or is no number that JavaScript holds exactly, is
 * undefined; nothing here throws.
 */
export class Bytes {
  /**
   * @param {Buffer} buffer
   * @param {boolean} littleEndian
   */
  constructor(buffer, littleEndian) {
    this.buffer = buffer;
    this.view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    this.littleEndian = littleEndian;
  }

  /** @param {number | undefined} at */
  u16(at) {
    return this.has(at, 2) ? this.view.getUint16(at, this.littleEndian) : undefined;
  }

  /** @param {number | undefined} at */
  u32(at) {
    return this.has(at, 4) ? this.view.getUint32(at, this.littleEndian) : undefined;
  }

  /** @param {number | undefined} at */
  u64(at) {
    if (!this.has(at, 8)) return undefined;
    const value = Number(this.view.getBigUint64(at, this.littleEndian));
    return Number.isSafeInteger(value) ? value : undefined;
  }

  /**
   * Up to a NUL, the end of the file, or `most` bytes.
   *
   * @param {number | undefined} at
   * @param {number} most
   */
  text(at, most) {
    if (!this.has(at, 1)) return '';
    const bytes = this.buffer.subarray(at, at + most);
    const end = bytes.indexOf(0);
    return bytes.toString('latin1', 0, end < 0 ? bytes.length : end);
  }

  /**
   * @param {number | undefined} at
   * @param {number} length
   * @returns {at is number}
   */
  has(at, length) {
    return at !== undefined && at >= 0 && at + length <= this.buffer.length;
  }
}
