import type { Settings } from '../config/index.ts';
import type { HostServices, ServiceOptions, Services } from '../services.ts';

export type Engine = Services;

/** Starts the engine: plugins, channels, the state directory open for changes. */
export type StartEngine = (settings: Settings, options: ServiceOptions) => Promise<Engine>;

/** Starts it for the service, which asks for more. */
export type StartHost = (settings: Settings, options: ServiceOptions) => Promise<HostServices>;
