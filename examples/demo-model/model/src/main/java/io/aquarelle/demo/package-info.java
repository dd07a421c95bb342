/** The model that ships with the project. */
package io.aquarelle.demo;
