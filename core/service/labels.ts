/**
 * Values of labels. Each distinct value costs memory here and in Prometheus for good, so none comes from a guest, and a
 * label has only so many: what is beyond that, or has an odd form, is counted as `other`.
 */

const FORM = /^[\w.:/@+-]{1,64}$/;
const OTHER = 'other';

export class LabelValues {
  private readonly known = new Set<string>();
  private readonly most: number;

  constructor(most: number) {
    this.most = most;
  }

  of(value: string): string {
    if (this.known.has(value)) return value;
    if (this.known.size >= this.most || !FORM.test(value)) return OTHER;
    this.known.add(value);
    return value;
  }
}
