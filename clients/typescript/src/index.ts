export * from './client.ts';
export * from './errors.ts';
export * from './generated.ts';
export * from './pages.ts';
