-- Dictionaries that write elsewhere than they read, and those that keep the k largest activations of a vector.
ALTER TABLE "dictionary" ADD COLUMN "output_hook_point" TEXT, ADD COLUMN "k" INTEGER;
