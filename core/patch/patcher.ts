import { inject, injectable } from 'tsyringe';
import { type Patch, PluginError } from '../api/index.ts';
import type { Domain } from '../channel/session.ts';
import type { PluginRegistry } from '../plugin/registry.ts';
import { TOKENS } from '../tokens.ts';
import type { OpenSession } from '../vm-session.ts';
import type { PatchApplier, PatchReport } from './apply.ts';

/** Applies bundles of any kind that a patch plugin reads. */
@injectable()
export class Patcher {
  constructor(
    @inject(TOKENS.plugins) private readonly plugins: PluginRegistry,
    @inject(TOKENS.patchApplier) private readonly applier: PatchApplier,
    @inject(TOKENS.openSession) private readonly openSession: OpenSession,
  ) {}

  /** Rejects with PluginError `bad-bundle` before the guest is asked for anything. */
  async apply(
    domain: Domain,
    bundle: string,
    options: { readonly dryRun: boolean; readonly signal: AbortSignal },
  ): Promise<PatchReport> {
    const patch = await this.load(bundle);
    await using session = await this.openSession(domain, options.signal);
    return await this.applier.apply(session.guest, patch, options);
  }

  private async load(bundle: string): Promise<Patch> {
    for (const { instance } of this.plugins.patches) {
      const patch = await instance.load(bundle);
      if (patch) return patch;
    }
    throw new PluginError('bad-bundle', `no patch plugin in use reads ${bundle}`);
  }
}
